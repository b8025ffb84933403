import { existsSync, readdirSync } from "node:fs";
import { defineConfig } from "rolldown";

const folders = readdirSync("src").filter((name) => name !== "cli" && existsSync(`src/${name}/index.ts`));
/** Workers are started by their own file names, so each is an entry of its own. */
const THREADS = {
	"hashing-thread": "src/host/tree/hashing-thread.ts",
	"verity-thread": "src/image/artifacts/verity/verity-thread.ts",
};
const shared = { platform: "node", logLevel: "warn" } as const;

/**
 * What `npm pack` holds. The command by itself, so that it loads nothing that only an importer needs; and each folder's door for
 * those who import `vouch/core` and so on. Both lie two folders below the package, as src/cli does, because programs and
 * threads are found from there.
 */
const configurations = defineConfig([
	{
		...shared,
		input: { main: "src/cli/main.ts", ...THREADS },
		// No module of ours does anything but define its exports: what nobody imports from a door stays out of a chunk.
		treeshake: { moduleSideEffects: (path: string) => path.includes("/node_modules/") },
		// CommonJS starts faster: see bin/vouch.cjs.
		output: {
			dir: "dist/cli",
			format: "cjs",
			entryFileNames: "[name].cjs",
			chunkFileNames: "[name]-[hash].cjs",
			minify: true,
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
