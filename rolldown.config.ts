import { readdirSync } from "node:fs";
import { defineConfig } from "rolldown";

const folders = readdirSync("src").filter((name) => name !== "cli");
const shared = { platform: "node", logLevel: "warn" } as const;

/**
 * What `npm pack` holds. The command by itself, so that it loads nothing that only an importer needs; and each folder's door for
 * those who import `vouch/core` and so on. Both lie two folders below the package, as src/cli does, because programs and
 * threads are found from there.
 */
const configurations = defineConfig([
	{
		...shared,
		// A worker is started by its own file name, so it is an entry of its own.
		input: { main: "src/cli/main.ts", "hashing-thread": "src/host/tree/hashing-thread.ts" },
		output: { dir: "dist/cli", minify: true },
	},
	{
		...shared,
		input: {
			...Object.fromEntries(folders.map((name) => [name, `src/${name}/index.ts`])),
			"hashing-thread": "src/host/tree/hashing-thread.ts",
		},
		output: { dir: "dist/lib" },
	},
]);

// The one name under which rolldown looks for its configuration.
export { configurations as default };
