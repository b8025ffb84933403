import { existsSync, readdirSync } from "node:fs";
import { defineConfig, type OutputChunk, type OutputOptions, type Plugin, rolldown } from "rolldown";

const folders = readdirSync("src").filter((name) => name !== "cli" && existsSync(`src/${name}/index.ts`));
const RUN = "src/cli/run/start.ts";
/** Workers are started by their own file names, so each is an entry of its own. */
const THREADS = {
	"hashing-thread": "src/host/tree/hashing-thread.ts",
	"verity-thread": "src/image/artifacts/verity/verity-thread.ts",
};
const shared = { platform: "node", logLevel: "warn" } as const;
/** rolldown 1.2.14 panics where one module takes a part of a folder's door statically and another takes a part of it later. */
const wholeImports: Plugin = {
	name: "whole imports",
	transform: (code) => code.replace(/(?<!typeof )\bimport\("[^"]+"\)/g, "$&.then((all) => all)"),
};
const command = {
	...shared,
	plugins: [wholeImports],
	// One must run before the other, and in a chunk that two commands share they don't: they stay packages of their own.
	external: ["reflect-metadata", "@peculiar/x509"],
	// No module of ours does anything but define its exports: what nobody imports from a door stays out of a chunk.
	treeshake: { moduleSideEffects: (path: string) => !path.startsWith(`${import.meta.dirname}/src/`) },
};

/** CommonJS starts faster: see bin/vouch.cjs. */
function commandOutput(dir: string): OutputOptions {
	const [entryFileNames, chunkFileNames] = ["[name].cjs", "[name]-[hash].cjs"];
	return { dir, format: "cjs", entryFileNames, chunkFileNames, minify: true };
}

/** The modules that `vouch run` loads before it looks at its flags: those of its entry, of which rolldown would make forty chunks. */
async function modulesOfRun(): Promise<ReadonlySet<string>> {
	const bundle = await rolldown({ ...command, input: RUN });
	const { output } = await bundle.generate({ format: "cjs" });
	const chunks = output.filter((part): part is OutputChunk => part.type === "chunk");
	const needed = chunks.filter(({ isEntry }) => isEntry);
	for (const chunk of needed) needed.push(...chunks.filter((part) => chunk.imports.includes(part.fileName) && !needed.includes(part)));
	return new Set(needed.flatMap(({ moduleIds }) => moduleIds));
}

const ofRun = await modulesOfRun();

/**
 * What `npm pack` holds. The command by itself, so that it loads nothing that only an importer needs; `vouch run` once more, so
 * that what it always needs is one file; and each folder's door for those who import `vouch/core` and so on. All lie two
 * folders below the package, as src/cli does, because programs and threads are found from there.
 */
const configurations = defineConfig([
	{ ...command, input: { main: "src/cli/main.ts", ...THREADS }, output: commandOutput("dist/cli") },
	{
		...command,
		input: { main: RUN, ...THREADS },
		output: {
			...commandOutput("dist/run"),
			codeSplitting: { groups: [{ name: "start", test: (path: string) => ofRun.has(path) }] },
		},
	},
	{
		...shared,
		input: {
			...Object.fromEntries(folders.map((name) => [name, `src/${name}/index.ts`])),
			client: "src/api/client/index.ts",
			...THREADS,
		},
		output: { dir: "dist/lib" },
	},
]);

// The one name under which rolldown looks for its configuration.
export { configurations as default };
