import type { Digest } from "../../core/index.ts";
import { fail } from "../failures.ts";
import { type Platform, platformSchema } from "../schema.ts";

const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;
const MAX_NAME = 100;
const FILE = /^([a-z0-9]+(?:[._-][a-z0-9]+)*)@(linux)-([a-z0-9]+)$/;
const PREFIX = /^(?:sha256:)?([0-9a-f]{8,64})$/;

/** Throws VouchError `image-name-invalid`. */
export function checkName(name: string): void {
	if (name.length > MAX_NAME) throw fail("image-name-invalid", { name, reason: `it is longer than ${MAX_NAME}` });
	if (!NAME.test(name)) throw fail("image-name-invalid", { name, reason: "it has other characters" });
	// `sha256` alone would make `sha256:…` mean two things.
	if (name === "sha256") throw fail("image-name-invalid", { name, reason: "digests begin with it" });
}

export function isName(text: string): boolean {
	return NAME.test(text) && text.length <= MAX_NAME && text !== "sha256";
}

export function nameFile(name: string, platform: Platform): string {
	return `${name}@${platform.replace("/", "-")}`;
}

/** Undefined for a file that is none of ours. */
export function parseNameFile(file: string): { readonly name: string; readonly platform: Platform } | undefined {
	const match = FILE.exec(file);
	const platform = platformSchema.safeParse(`${match?.[2]}/${match?.[3]}`);
	return match?.[1] === undefined || !platform.success ? undefined : { name: match[1], platform: platform.data };
}

export type ImageReference =
	| {
			readonly kind: "name";
			readonly name: string;
			readonly platform: Platform | null;
			readonly digestPrefix: string | null;
	  }
	| { readonly kind: "digest"; readonly hexPrefix: string };

/** What a person typed. A text that could be a name or the start of a digest is a name first. */
export function parseReference(text: string): ImageReference | undefined {
	const [name = "", platformText, ...rest] = text.split("@");
	const hexPrefix = PREFIX.exec(text)?.[1] ?? null;
	if (rest.length === 0 && isName(name)) {
		if (platformText === undefined) return { kind: "name", name, platform: null, digestPrefix: hexPrefix };
		const platform = platformSchema.safeParse(platformText.replace(/^linux-/, "linux/"));
		return platform.success ? { kind: "name", name, platform: platform.data, digestPrefix: null } : undefined;
	}
	return hexPrefix === null ? undefined : { kind: "digest", hexPrefix };
}

const MACHINES: Readonly<Record<string, Platform>> = {
	x64: "linux/amd64",
	arm64: "linux/arm64",
	riscv64: "linux/riscv64",
};

/** This machine's own platform; undefined on one that no image can be made for. */
export function machinePlatform(): Platform | undefined {
	return MACHINES[process.arch];
}

export function digestFromHex(hex: string): Digest {
	return `sha256:${hex}` as Digest;
}
