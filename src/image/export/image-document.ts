import { canonicalJson, digestOf, parseCanonicalJson } from "../../core/index.ts";
import { verityDiskBytes } from "../artifacts/verity/layout.ts";
import { type ImageManifest, imageManifestSchema, PART_MEDIA_TYPES, type PartName } from "../schema.ts";

export const MAX_IMAGE_DOCUMENT_BYTES = 2 ** 20;
export const PART_NAMES = ["disk", "kernel", "initramfs", "sbom", "provenance"] as const satisfies readonly PartName[];

/** Far above what any image has: past them it is an attack on the disk, not an image. */
const MAX_PART_BYTES: Readonly<Record<PartName, number>> = {
	disk: 64 * 2 ** 30,
	kernel: 256 * 2 ** 20,
	initramfs: 512 * 2 ** 20,
	sbom: 128 * 2 ** 20,
	provenance: 64 * 2 ** 20,
};

/** An image that doesn't fit together. The message ends a sentence that says where it is from. */
export class ForeignImage extends Error {}

/** The image that `image.json` describes: canonical, of a known form, and in agreement with itself. Throws ForeignImage. */
export function readImageDocument(bytes: Uint8Array): ImageManifest {
	if (bytes.length > MAX_IMAGE_DOCUMENT_BYTES) throw new ForeignImage("its image.json is too large");
	let manifest: ImageManifest;
	try {
		manifest = imageManifestSchema.parse(parseCanonicalJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
	} catch (error) {
		throw new ForeignImage("its image.json is not one that this Vouch knows", { cause: error });
	}
	const [contradiction] = contradictionsOf(manifest);
	if (contradiction !== undefined) throw new ForeignImage(contradiction);
	return manifest;
}

export function imageDocumentOf(manifest: ImageManifest): Uint8Array {
	return Buffer.from(canonicalJson(manifest));
}

/** Where an image's own statements don't agree with each other. */
export function contradictionsOf(manifest: ImageManifest): readonly string[] {
	const { parts, verity, reference, commandLine, rootfsFormat } = manifest;
	const checks: readonly (readonly [boolean, string])[] = [
		...PART_NAMES.flatMap((name): readonly (readonly [boolean, string])[] => [
			[parts[name].mediaType === PART_MEDIA_TYPES[name], `its ${name} is of another type (${parts[name].mediaType})`],
			[parts[name].size <= MAX_PART_BYTES[name], `its ${name} is too large (${parts[name].size} bytes)`],
		]),
		[verity.hashOffset === verity.dataBlocks * verity.dataBlockSize, "its hash tree does not follow its data"],
		[verityDiskBytes(verity) === parts.disk.size, "its disk has not the size that its hash tree asks for"],
		[wordsOf(commandLine, "vouch.verity") === verityWord(verity), "its command line names another root hash or tree"],
		[
			wordsOf(commandLine, "vouch.rootfs") === rootfsFormat.replace("-uncompressed", ""),
			"its command line names another format",
		],
		[reference.kernelDigest === parts.kernel.digest, "its reference values are of another kernel"],
		[reference.initramfsDigest === parts.initramfs.digest, "its reference values are of another initramfs"],
		[reference.commandLineDigest === digestOf(commandLine), "its reference values are of another command line"],
	];
	return checks.flatMap(([holds, sentence]) => (holds ? [] : [sentence]));
}

/** What a word of the command line says; the guest takes a word only when it is there once. */
function wordsOf(commandLine: string, name: string): string | undefined {
	const said = commandLine.split(" ").filter((word) => word.startsWith(`${name}=`));
	return said.length === 1 ? said[0]?.slice(name.length + 1) : undefined;
}

function verityWord({
	algorithm,
	dataBlockSize,
	dataBlocks,
	hashOffset,
	salt,
	rootHash,
}: ImageManifest["verity"]): string {
	const firstTreeBlock = hashOffset / dataBlockSize + 1;
	return `1:${algorithm}:${dataBlockSize}:${dataBlocks}:${firstTreeBlock}:${salt || "-"}:${rootHash}`;
}
