import { readFileSync } from "node:fs";
import { formatBytes, formatDurationMs, hexOfDigest } from "../../core/index.ts";
import type { Action } from "../command.ts";
import { findImage, imageParts } from "../image/parts.ts";
import { printable, printJson, table } from "../screen.ts";

const SHORT_DIGEST = 12;
/** The largest that goes in twice: nobody asks for the seconds of an hour. */
const AGES = [
	["days", 86_400_000],
	["hours", 3_600_000],
	["minutes", 60_000],
] as const;

export const imageListAction: Action = async ({ flags }) => {
	const { store } = imageParts();
	const images = await store.list();
	if (flags.has("--names")) {
		const names = [...new Set(images.flatMap(({ name }) => (name === null ? [] : [name])))];
		process.stdout.write(names.map((name) => `${name}\n`).join(""));
	} else if (flags.has("--json")) {
		printJson(images.map(({ addedMs, ...image }) => ({ ...image, addedAt: new Date(addedMs).toISOString() })));
	} else if (images.length === 0) {
		process.stdout.write("No images yet. Make one: vouch create hello --template python\n");
	} else {
		const rows = images.map(({ name, platform, digest, sizeBytes, addedMs }) => [
			name ?? "-",
			platform,
			hexOfDigest(digest).slice(0, SHORT_DIGEST),
			formatBytes(sizeBytes),
			ageOf(Date.now() - addedMs),
		]);
		process.stdout.write(`${table([["NAME", "PLATFORM", "DIGEST", "SIZE", "AGE"], ...rows])}\n`);
	}
	return 0;
};

function ageOf(ageMs: number): string {
	const unit = AGES.find(([, lengthMs]) => ageMs >= 2 * lengthMs);
	return unit === undefined ? formatDurationMs(Math.max(0, ageMs)) : `${Math.floor(ageMs / unit[1])} ${unit[0]}`;
}

export const imageInspectAction: Action = async ({ operands, flags }) => {
	const parts = imageParts();
	const { digest, manifest, files } = await findImage(parts, operands[0] ?? "");
	const part = flags.text("--part");
	if (part === "sbom" || part === "provenance") {
		process.stdout.write(readFileSync(files[part]));
		return 0;
	}
	if (part === "image.json") {
		process.stdout.write(await parts.store.manifestBytes(digest));
		return 0;
	}
	const names = (await parts.store.list()).filter((row) => row.digest === digest).flatMap(({ name }) => name ?? []);
	if (flags.has("--json")) {
		printJson({ digest, names, manifest, files });
		return 0;
	}
	const { config, verity, reference } = manifest;
	const rows = [
		["digest", digest],
		["names", names.join(", ") || "-"],
		["platform", manifest.platform],
		["disk", `${formatBytes(manifest.parts.disk.size)}, ${manifest.rootfsFormat}, ${verity.dataBlocks} blocks`],
		["root hash", verity.rootHash],
		["kernel", `${printable(reference.kernelVersion)}, ${formatBytes(manifest.parts.kernel.size)}`],
		["initramfs", formatBytes(manifest.parts.initramfs.size)],
		["guest", `generation ${reference.guestGeneration}, ${reference.guestDigest}`],
		["command line", printable(manifest.commandLine)],
		["runs", printable([...config.entrypoint, ...config.command].join(" ")) || "-"],
		["variables", printable(config.environment.join(" ")) || "-"],
		["folder", printable(config.workingDirectory) || "/"],
		["user", printable(config.user) || "-"],
	];
	process.stdout.write(`${table(rows, Number.POSITIVE_INFINITY)}\n`);
	return 0;
};
