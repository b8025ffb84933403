import { cp, lstat, realpath } from "node:fs/promises";
import { isAbsolute, sep } from "node:path";
import { agentFailures } from "../failures.ts";

/**
 * Fills a new facility with a copy of a folder of this machine. Only from folders that the node's own settings name: a control plane
 * that asks for others gets nothing to read. What is there stays as it is, and is never removed with the facility. Links are copied as
 * links; sockets, pipes and devices are left out. Throws `not-prepared`.
 */
export async function importInto(facility: string, path: string, importable: readonly string[]): Promise<void> {
	const refuse = (problem: string) => agentFailures.fail("not-prepared", { problem: `importing ${path}: ${problem}` });
	if (!isAbsolute(path)) throw refuse("it is no absolute path.");
	const source = await realpath(path).catch(() => undefined);
	if (source === undefined || !(await lstat(source)).isDirectory())
		throw refuse("there is no such folder on this machine.");
	const allowed = await Promise.all(importable.map((folder) => realpath(folder).catch(() => undefined)));
	if (!allowed.some((folder) => folder !== undefined && isWithin(source, folder)))
		throw refuse("this machine lets nobody import from there; its setting `facilities.import` names the folders.");
	if (isWithin(facility, source)) throw refuse("the facility itself lies in it.");
	const isPlain = async (entry: string): Promise<boolean> => {
		const found = await lstat(entry);
		return found.isFile() || found.isDirectory() || found.isSymbolicLink();
	};
	await cp(source, facility, {
		recursive: true,
		verbatimSymlinks: true,
		preserveTimestamps: true,
		filter: isPlain,
	}).catch((error: Error) => {
		throw refuse(`${error.message}.`);
	});
}

function isWithin(path: string, folder: string): boolean {
	return path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}
