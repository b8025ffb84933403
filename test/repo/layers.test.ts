import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";
import { isTest, root, textOf, typescript } from "./tree.ts";

/** Who may import whom: imports point down. A folder that is not here must be given its place first. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
	core: [],
	host: ["core"],
	evidence: ["core"],
	journal: ["core", "evidence"],
	image: ["core", "host", "evidence"],
	egress: ["core", "host"],
	runtime: ["core", "host", "image", "egress"],
	machines: ["core", "host", "image", "runtime"],
	governance: ["core", "evidence"],
	lab: ["core", "host", "evidence", "image", "runtime"],
	api: ["core"],
	// Never host: the control plane cannot touch a machine.
	fleet: ["core", "evidence", "journal", "governance", "api"],
	// Never governance: a node does not decide for itself.
	agent: ["core", "host", "evidence", "image", "egress", "runtime", "machines", "api"],
	cli: [
		"core",
		"host",
		"evidence",
		"journal",
		"image",
		"egress",
		"runtime",
		"machines",
		"governance",
		"lab",
		"api",
		"fleet",
		"agent",
	],
};

interface Import {
	readonly from: string;
	readonly to: string;
	/** Erased before anything runs. */
	readonly erased: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"(\.[^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"(\.[^"]+)"\s*\)/g;

function importsOf(path: string): readonly Import[] {
	const text = textOf(path);
	const resolve = (target: string) => posix.normalize(posix.join(posix.dirname(path), target));
	return [
		...[...text.matchAll(STATEMENT)].map((match) => ({
			from: path,
			to: resolve(match[2] ?? ""),
			erased: match[1] !== undefined,
		})),
		...[...text.matchAll(DYNAMIC)].map((match) => ({ from: path, to: resolve(match[1] ?? ""), erased: true })),
	];
}

const folderOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1];
const isSchema = (path: string) => path.endsWith("/schema.ts");
const all = typescript.flatMap(importsOf);
const inSource = all.filter(({ from }) => from.startsWith("src/"));
const show = (imports: readonly Import[]) => imports.map(({ from, to }) => `${from} imports ${to}`);

test("the reader of imports sees them", () => {
	assert.ok(all.length > typescript.length, `${all.length} imports in ${typescript.length} files`);
	const index = importsOf("src/core/index.ts").map(({ to }) => to);
	assert.ok(index.includes("src/core/canonical-json.ts"));
});

test("every relative import names a file, with its ending", () => {
	assert.deepEqual(show(all.filter(({ to }) => !existsSync(posix.join(root, to)))), []);
});

test("every folder of src has its place in the layers", () => {
	const folders = new Set(typescript.map(folderOf).filter((folder) => folder !== undefined));
	assert.deepEqual(
		[...folders].filter((folder) => !(folder in LAYERS)),
		[],
	);
});

test("imports point down", () => {
	const upward = inSource.filter(({ from, to }) => {
		const [importer, imported] = [folderOf(from), folderOf(to)];
		if (importer === undefined || imported === undefined || importer === imported || isSchema(to)) return false;
		return !(LAYERS[importer] ?? []).includes(imported);
	});
	assert.deepEqual(show(upward), []);
});

test("a folder is entered by its index.ts or a schema.ts", () => {
	const deep = all.filter(({ from, to }) => {
		const imported = folderOf(to);
		if (imported === undefined || imported === folderOf(from)) return false;
		return to !== `src/${imported}/index.ts` && !isSchema(to);
	});
	assert.deepEqual(show(deep), []);
});

test("source leans on nothing outside src", () => {
	assert.deepEqual(show(inSource.filter(({ from, to }) => !to.startsWith("src/") && !isTest(from))), []);
});

test("schema.ts files import core and each other alone", () => {
	const wide = inSource.filter(({ from, to }) => isSchema(from) && to !== "src/core/index.ts" && !isSchema(to));
	assert.deepEqual(show(wide), []);
});

test("no file imports itself, however far round", () => {
	const next = Map.groupBy(
		inSource.filter(({ erased }) => !erased),
		({ from }) => from,
	);
	const done = new Set<string>();
	const cycles: string[] = [];
	const visit = (path: string, trail: readonly string[]): void => {
		if (trail.includes(path)) {
			cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
		} else if (!done.has(path)) {
			for (const { to } of next.get(path) ?? []) visit(to, [...trail, path]);
			done.add(path);
		}
	};
	for (const path of next.keys()) visit(path, []);
	assert.deepEqual(cycles, []);
});
