import { sectionOf } from "./elf.ts";
import { KernelRefusal } from "./refusal.ts";

export interface ModuleInfo {
	/** Modules that must be loaded before it, as it names them. */
	readonly depends: readonly string[];
	/** What it would have loaded before it, where that is there. */
	readonly softDepends: readonly string[];
}

/** As `lsmod` spells it: file names may have hyphens for underscores. */
export function moduleName(text: string): string {
	return text.replaceAll("-", "_");
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$/;

/** Reads the `.modinfo` section: `name=value`, each with a NUL behind it. Throws KernelRefusal. */
export function moduleInfoOf(bytes: Buffer): ModuleInfo {
	const section = sectionOf(bytes, ".modinfo");
	if (section === undefined) throw new KernelRefusal("it says nothing of itself (.modinfo)");
	const lines = section.toString("latin1").split("\0");
	const valuesOf = (name: string) =>
		lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
	const depends = valuesOf("depends").flatMap((value) => value.split(","));
	const soft = valuesOf("softdep").flatMap(
		(value) => /^pre: *(.*?)(?: *post:.*)?$/.exec(value)?.[1]?.split(/\s+/) ?? [],
	);
	return { depends: checkedNames(depends), softDepends: checkedNames(soft) };
}

function checkedNames(names: readonly string[]): readonly string[] {
	const there = names.filter((name) => name !== "");
	const wrong = there.find((name) => !NAME.test(name));
	if (wrong !== undefined) throw new KernelRefusal(`it depends on ${JSON.stringify(wrong.slice(0, 100))}`);
	return there.map(moduleName);
}

/** include/linux/module_signature.h: the signature, a header of 12 bytes whose last four are its length, then this text. */
const SIGNED = Buffer.from("~Module signature appended~\n", "latin1");
const SIGNATURE_HEADER_BYTES = 12;

/**
 * A module without its signature. Nothing in a guest asks for it, the image's digest vouches for more than it did, and to check
 * it takes an emulated machine 0.15 to 1.4 s of each boot.
 */
export function withoutSignature(bytes: Buffer): Buffer {
	if (!bytes.subarray(-SIGNED.length).equals(SIGNED)) return bytes;
	const end = bytes.length - SIGNED.length - SIGNATURE_HEADER_BYTES;
	if (end < 0) throw new KernelRefusal("its signature is cut off");
	const [, , , signerBytes = 0, keyBytes = 0] = bytes.subarray(end);
	const kept = end - bytes.readUInt32BE(end + 8) - signerBytes - keyBytes;
	if (kept <= 0) throw new KernelRefusal("its signature is longer than it is");
	return bytes.subarray(0, kept);
}
