import { type Document, isAlias, isNode, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import { digestOfJson, type Failure, type Json, type NonEmpty } from "../core/index.ts";
import { failure } from "./failures.ts";
import { Places, positionOf, textOfPath } from "./places.ts";
import type { Policy } from "./policy.ts";
import { explainIssue } from "./policy-problems.ts";
import { compilePolicy } from "./policy-rules.ts";
import { policyDocumentSchema } from "./schema.ts";

export type PolicyReading =
	| { readonly kind: "policy"; readonly policy: Policy }
	| { readonly kind: "invalid"; readonly reasons: NonEmpty<Failure> };

const MAX_CHARACTERS = 262_144;

/**
 * A policy from its text. Every problem is listed, each with its line; a policy with one problem is no policy.
 * An empty text is a problem of its own: it neither allows nor denies, so somebody must say which was meant.
 * @param source shown to people, such as the file's path
 */
export function readPolicy(text: string, source: string): PolicyReading {
	if (text.length > MAX_CHARACTERS)
		return invalid([failure("policy-too-large", { source, limit: String(MAX_CHARACTERS) })]);
	const lines = new LineCounter();
	const document = parsedOrBroken(text, lines);
	if (typeof document === "string") {
		return invalid([failure("policy-syntax", { source, line: "1", column: "1", problem: document })]);
	}
	const places = new Places(document, lines);
	const syntax = syntaxProblems(document, lines).map((details) => failure("policy-syntax", { source, ...details }));
	if (syntax.length > 0) return invalid(syntax);
	const value: unknown = document.toJS({ maxAliasCount: 0 });
	if (value === null || value === undefined) return invalid([failure("policy-empty", { source })]);
	const parsed = policyDocumentSchema.safeParse(value, { reportInput: true });
	if (!parsed.success) return invalid(parsed.error.issues.flatMap((issue) => explainIssue(issue, source, places)));
	const compiled = compilePolicy(parsed.data);
	if (compiled.kind === "invalid") {
		return invalid(
			compiled.problems.map(({ path, problem }) =>
				failure("policy-wrong-value", { source, ...places.of(path), key: textOfPath(path), problem }),
			),
		);
	}
	const digest = digestOfJson(parsed.data as Json);
	return { kind: "policy", policy: { source, digest, rules: compiled.rules } };
}

/** The document, or what kept the parser from making one: nesting without end exhausts its stack. */
function parsedOrBroken(text: string, lines: LineCounter): Document.Parsed | string {
	try {
		return parseDocument(text, {
			lineCounter: lines,
			version: "1.2",
			schema: "core",
			uniqueKeys: true,
			prettyErrors: false,
		});
	} catch (error) {
		return error instanceof RangeError ? "it is nested too deeply" : String(error);
	}
}

function syntaxProblems(
	document: Document.Parsed,
	lines: LineCounter,
): { line: string; column: string; problem: string }[] {
	const problems = [...document.errors, ...document.warnings].map((error) => ({
		...positionOf(lines, error.pos[0]),
		problem: `${error.message.replace(/[.:]?\s*$/, "")}.`,
	}));
	const at = (node: Node) => positionOf(lines, node.range?.[0] ?? 0);
	visit(document, {
		Node: (_, node) => {
			if (isAlias(node)) {
				const problem = `*${node.source} reads as a YAML alias. Put quotes around a value that starts with *: "*${node.source}".`;
				problems.push({ ...at(node), problem });
			} else if ("anchor" in node && node.anchor !== undefined) {
				problems.push({ ...at(node), problem: "anchors (&name) are not used in policies. Write the value out." });
			}
		},
		Pair: (_, pair) => {
			if (isScalar(pair.key) && typeof pair.key.value === "string") return;
			const position = isNode(pair.key) ? at(pair.key) : { line: "1", column: "1" };
			problems.push({ ...position, problem: "a key must be a plain word." });
		},
	});
	return problems;
}

function invalid(reasons: readonly Failure[]): PolicyReading {
	const [first, ...rest] = reasons;
	if (first === undefined) throw new TypeError("an invalid policy needs a reason");
	return { kind: "invalid", reasons: [first, ...rest] };
}
