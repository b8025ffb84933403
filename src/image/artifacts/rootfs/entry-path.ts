import { printablePath } from "../../../host/index.ts";
import { isRawUtf8 } from "./raw-text.ts";
import { Refusal } from "./source.ts";
import { MAX_NAME_BYTES, MAX_PATH_BYTES } from "./tree.ts";

/**
 * The names that a path of an archive leads through, from the root of the image. It is the root of the image that a leading
 * slash means. Throws Refusal for what can't be a path in it.
 */
export function partsOf(path: string, maxDepth: number): readonly string[] {
	const refuse = (reason: string) => new Refusal(printablePath(path), reason);
	if (path === "") throw refuse("it has no name");
	if (path.includes("\0")) throw refuse("its name has a NUL byte");
	if (!isRawUtf8(path)) throw refuse("its name is not valid UTF-8");
	const parts = path.split("/").filter((part) => part !== "" && part !== ".");
	if (parts.includes("..")) throw refuse("its path leads upwards");
	if (parts.some((part) => part.length > MAX_NAME_BYTES)) throw refuse(`a name has over ${MAX_NAME_BYTES} bytes`);
	if (parts.length > maxDepth) throw refuse(`it is over ${maxDepth} folders deep`);
	if (parts.reduce((sum, part) => sum + part.length + 1, 0) > MAX_PATH_BYTES) {
		throw refuse(`its path has over ${MAX_PATH_BYTES} bytes`);
	}
	return parts;
}

/** Where a symbolic link leads: data, which may say anything that a link can say. */
export function checkedTarget(entry: string, target: string): string {
	const refuse = (reason: string) => new Refusal(printablePath(entry), reason);
	if (target === "") throw refuse("it is a link to nowhere");
	if (target.length > MAX_PATH_BYTES) throw refuse(`where it leads has over ${MAX_PATH_BYTES} bytes`);
	if (target.includes("\0") || !isRawUtf8(target)) throw refuse("where it leads is not valid UTF-8");
	return target;
}
