import { z } from "zod";
import { apiFailures, wireCode } from "./failures.ts";
import { failuresOf, schemaOf } from "./openapi.ts";
import type { Operation } from "./operation.ts";
import { operations } from "./operations.ts";
import { RATES } from "./rates.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The API for people: one page of HTML with its style inside, made from the rows. Nothing is loaded and nothing runs. */
export function docsPage(version: string): string {
	// Nodes come last: most who read this are people, or their programs.
	const isNodes = ([name]: readonly [string, Operation]) => (name.startsWith("nodes.") ? 1 : 0);
	const rows = Object.entries<Operation>(operations).sort((a, b) => isNodes(a) - isNodes(b));
	const groups = Map.groupBy(rows, ([name]) => name.split(".")[0] ?? name);
	const index = [...groups].map(([group, rows]) => {
		const links = rows.map(([name, { summary }]) => `<li><a href="#${name}" title="${text(summary)}">${name}</a></li>`);
		return `<li><b>${group}</b><ul>${links.join("")}</ul></li>`;
	});
	const sections = [...groups].map(
		([group, rows]) => `<h2>${group}</h2>${rows.map(([name, row]) => operationPart(name, row)).join("")}`,
	);
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Vouch control plane: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>
<body><nav><h1>Vouch API</h1><p>${text(version)} · <a href="/openapi.json">openapi.json</a></p><ul>${index.join("")}</ul></nav>
<main>${INTRODUCTION}${sections.join("")}</main></body></html>
`;
}

const INTRODUCTION = `<section><h2>Calling</h2>
<p>Send <code>Authorization: Bearer TOKEN</code> with a token of <code>vouch tokens create</code>; territories show their client certificate.
Bodies are JSON. Lists take <code>limit</code> and <code>cursor</code>, and answer <code>next_cursor</code>, which is null at the end.</p>
<p>Every refusal is <code>{"error": code, "detail": sentence}</code>. The code is stable; the sentence is for people.
<code>401</code> no credential that holds · <code>403</code> not for this role · <code>404</code> not in this account ·
<code>405</code> see <code>Allow</code> · <code>413</code> too large · <code>415</code> not JSON · <code>422</code> the members named in <code>details</code> ·
<code>429</code> again after <code>Retry-After</code>.</p></section>`;

function operationPart(name: string, row: Operation): string {
	const facts = [
		["may be called by", row.callers.join(", ")],
		["effect", row.effect],
		["again", AGAIN[row.idempotency]],
		...(row.rate === null ? [] : [["at most", rateOf(row.rate)]]),
		...(row.command === null ? [] : [["command", code(commandOf(row.command))]]),
	];
	return `<section id="${name}"><h3><span class="method ${row.method}">${row.method}</span> <code>${text(row.route)}</code></h3>
<p>${text(row.summary)}. <a class="name" href="#${name}">${name}</a></p>
<dl>${facts.map(([term, value]) => `<dt>${term}</dt><dd>${value}</dd>`).join("")}</dl>
${members("Path", z.toJSONSchema(row.path, { io: "input", unrepresentable: "any" }))}
${members("Query", schemaOf(row.query, "input"))}
${row.body === null ? "" : members("Body", schemaOf(row.body, "input"))}
${Object.entries(row.answers)
	.map(([status, schema]) => members(`${status} ${ANSWERS[row.answersAs]}`, schemaOf(schema, "output")))
	.join("")}
${failuresPart(row)}</section>`;
}

const AGAIN = {
	natural: "changes nothing more",
	key: "with the same <code>Idempotency-Key</code>: the first answer again",
	none: "does it again",
} as const;
const ANSWERS = {
	json: "answer",
	"event-stream": "stream of Server-Sent Events, each",
	bytes: "bytes",
	"byte-stream": "bytes",
	jsonl: "JSON lines, each",
} as const;

function rateOf(name: keyof typeof RATES): string {
	const { requests, windowMs, by, past } = RATES[name];
	return `${requests} in ${windowMs / 60_000} min by ${by}; past that ${past === "waits" ? "each waits its turn" : "refused"}`;
}

function commandOf({ words, operands }: NonNullable<Operation["command"]>): string {
	return ["vouch", ...words, ...operands.map((operand) => operand.replace(/_id$/, "").toUpperCase())].join(" ");
}

/** Members of an object, each with its type and bounds; what is no object as one line. */
function members(title: string, schema: Schema): string {
	const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
	if (schema.type !== "object" && properties.length === 0 && title !== "Path" && title !== "Query")
		return `<h4>${title}</h4><p class="type">${typeOf(schema)}</p>`;
	if (properties.length === 0) return "";
	const required = (schema.required ?? []) as readonly string[];
	const rows = properties.map(([name, member]) => {
		const mark = required.includes(name) ? "" : `<span class="optional"> optional</span>`;
		return `<tr><td><code>${text(name)}</code>${mark}</td><td class="type">${typeOf(member)}</td></tr>`;
	});
	return `<h4>${title}</h4><table>${rows.join("")}</table>`;
}

/** Deeper than this is in openapi.json. */
const MAX_DEPTH = 3;

function typeOf(schema: Schema, depth = 0): string {
	if (Array.isArray(schema.enum)) return schema.enum.map((value) => code(JSON.stringify(value))).join(" or ");
	if ("const" in schema) return code(JSON.stringify(schema.const));
	const options = (schema.anyOf ?? schema.oneOf) as readonly Schema[] | undefined;
	if (options !== undefined) return options.map((option) => typeOf(option, depth)).join(" or ");
	const known = schema.default === undefined ? "" : `; default ${code(JSON.stringify(schema.default))}`;
	if (schema.type === "array")
		return `list of ${typeOf((schema.items ?? {}) as Schema, depth)}${boundsOf(schema)}${known}`;
	const type = [schema.type ?? "any JSON"].flat().join(" or ");
	if (type !== "object") return `${text(type)}${boundsOf(schema)}${known}`;
	const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
	if (properties.length === 0 || depth >= MAX_DEPTH) return `object${known}`;
	const rows = properties.map(([name, member]) => `<li><code>${text(name)}</code> ${typeOf(member, depth + 1)}</li>`);
	return `<details><summary>object${known}</summary><ul>${rows.join("")}</ul></details>`;
}

function boundsOf({ minimum, maximum, minLength, maxLength, maxItems, format }: Schema): string {
	const range = (low: unknown, high: unknown, unit: string) =>
		high === undefined
			? low === undefined
				? []
				: [`at least ${low}${unit}`]
			: [`${low === undefined ? "up to" : `${low} to`} ${high}${unit}`];
	const isOrdinary = Number(maximum) === Number.MAX_SAFE_INTEGER;
	const said = [
		...(typeof format === "string" ? [format] : []),
		...(isOrdinary ? [] : range(minimum, maximum, "")),
		...range(minLength, maxLength, " characters"),
		...range(undefined, maxItems, " items"),
	];
	return said.length === 0 ? "" : ` <span class="bounds">(${text(said.join(", "))})</span>`;
}

function failuresPart(row: Operation): string {
	const rows = failuresOf(row).map((name) => {
		const { status, sentence } = apiFailures.table[name];
		return `<tr><td>${status}</td><td><code>${wireCode(name)}</code></td><td>${text(sentence)}</td></tr>`;
	});
	return `<details><summary>Refusals</summary><table>${rows.join("")}</table></details>`;
}

function code(value: string): string {
	return `<code>${text(value)}</code>`;
}

function text(value: string): string {
	return value.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#ddd,#3a3a3a);--soft:light-dark(#666,#aaa);--back:light-dark(#fafafa,#1c1c1c)}
*{box-sizing:border-box}body{margin:0;display:grid;grid-template-columns:17rem minmax(0,1fr);font:15px/1.5 system-ui,sans-serif}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid var(--line);background:var(--back)}
nav ul{list-style:none;padding:0;margin:0}nav>ul>li{margin:.8rem 0}nav h1{font-size:1.2rem;margin:0}
nav li li{padding-left:.6rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:13px}
main{padding:1rem 2rem 20vh;max-width:62rem}a{color:light-dark(#0b57d0,#8ab4f8);text-decoration:none}a:hover{text-decoration:underline}
section{border-top:1px solid var(--line);padding:.6rem 0 1rem;scroll-margin-top:.5rem}section:target{background:light-dark(#fffbe6,#2b2814)}
h2{margin:2rem 0 .5rem}h3{margin:.4rem 0;font-size:1rem;overflow-wrap:anywhere}h4{margin:1rem 0 .3rem;font-size:.85rem;color:var(--soft)}
code{font:13px/1.4 ui-monospace,monospace}.method{display:inline-block;min-width:4.2rem;text-align:center;border-radius:4px;padding:.1rem .4rem;
color:#fff;font-size:12px;background:#555}.GET{background:#1a7f37}.POST{background:#0b57d0}.PATCH,.PUT{background:#9a6700}.DELETE{background:#b3261e}
.name,.optional,.bounds{color:var(--soft);font-size:12px}dl{display:grid;grid-template-columns:9rem 1fr;margin:.3rem 0;font-size:13px}
dt{color:var(--soft)}dd{margin:0}table{border-collapse:collapse;width:100%;font-size:13px}
td{border-top:1px solid var(--line);padding:.25rem .6rem .25rem 0;vertical-align:top}td:first-child{white-space:nowrap;width:1%}
details>summary{cursor:pointer;color:var(--soft);font-size:13px}.type details{display:inline-block}.type ul{margin:.2rem 0;padding-left:1.1rem}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}nav>ul{columns:2}nav>ul>li{break-inside:avoid;margin-top:0}main{padding:1rem}}`;
