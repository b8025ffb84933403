import { statSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Host } from "../../host/index.ts";

/**
 * What a program says of itself, remembered for as long as its file is the same: asking takes longer than a rebuild in which
 * nothing had changed. Forgetting it costs time only.
 */
export async function rememberedVersion(
	program: string,
	{ host, cacheDirectory }: { readonly host: Host; readonly cacheDirectory: string },
	ask: () => Promise<string>,
): Promise<string> {
	const state = stateOf(await host.findProgram(program));
	const place = join(cacheDirectory, "tools", program);
	const [knownState, known] = (await readFile(place, "utf8").catch(() => "")).split("\n");
	if (state !== undefined && knownState === state && known) return known;
	const said = await ask();
	if (state !== undefined && !said.includes("\n")) await keep(place, `${state}\n${said}\n`).catch(() => {});
	return said;
}

function stateOf(path: string | undefined): string | undefined {
	const found = path === undefined ? undefined : statSync(path, { bigint: true, throwIfNoEntry: false });
	return found && `${path} ${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}

async function keep(path: string, text: string): Promise<void> {
	await mkdir(dirname(path), { recursive: true, mode: 0o700 });
	const temporary = `${path}.${process.pid}.new`;
	await writeFile(temporary, text, { mode: 0o600 });
	await rename(temporary, path);
}
