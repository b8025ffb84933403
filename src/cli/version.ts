import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder that holds package.json: two above `src/cli` and `dist/cli` alike. */
export const packageRoot = dirname(dirname(import.meta.dirname));

export function programVersion(): string {
	const manifest: { version: string } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
	return manifest.version;
}
