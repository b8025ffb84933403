import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/** The text of a file that only this user may read, made when it isn't there. Whoever is first wins: all get the same text. */
export async function privateFile(directory: string, name: string, make: () => Promise<string>): Promise<string> {
	const path = join(directory, name);
	const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
	const there = await readFile(path, { encoding: "utf8", flag: flags }).catch(absent);
	if (there !== undefined) return there;
	await mkdir(directory, { recursive: true, mode: 0o700 });
	const temporary = `${path}.${randomBytes(8).toString("hex")}`;
	try {
		const file = await open(temporary, "wx", 0o600);
		await file.writeFile(await make());
		await file.sync();
		await file.close();
		await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
			if (error.code !== "EEXIST") throw error;
		});
	} finally {
		await rm(temporary, { force: true });
	}
	return readFile(path, { encoding: "utf8", flag: flags });
}

function absent(error: NodeJS.ErrnoException): undefined {
	if (error.code !== "ENOENT") throw error;
}
