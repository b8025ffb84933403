import { formatBytes, parseDurationMs } from "../../core/index.ts";
import { type NamedImage, prunePulls } from "../../image/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { longWork } from "../image/long-work.ts";
import { checkedName, findImage, type ImageParts, imageParts } from "../image/parts.ts";
import { printJson } from "../screen.ts";

const DEFAULT_AGE = "1d";

export const imageNameAction: Action = async ({ operands: [image = "", name = ""], flags }) => {
	const parts = imageParts();
	const { digest, manifest } = await findImage(parts, image);
	await parts.store.name(checkedName(name), digest);
	if (flags.has("--json")) printJson({ name, digest, platform: manifest.platform });
	else process.stdout.write(`${name}  ${manifest.platform}  ${digest}\n`);
	return 0;
};

export const imageRemoveAction: Action = async ({ operands: [text = ""], flags }) => {
	const parts = imageParts();
	const { digest, manifest } = await findImage(parts, text);
	const rows = (await parts.store.list()).filter((row) => row.digest === digest);
	const names = rows.flatMap(({ name }) => (name === null ? [] : [name]));
	const given = text.split("@")[0] ?? "";
	const byName = names.includes(given);
	if (byName && names.length > 1) {
		await parts.store.unname(given, manifest.platform);
		const others = names.filter((name) => name !== given).join(", ");
		if (flags.has("--json")) printJson({ unnamed: given, digest, removed: [], freedBytes: 0 });
		else process.stdout.write(`took the name ${given} away; the image is still ${others}\n`);
		return 0;
	}
	const { images, freedBytes } = await parts.store.remove(digest);
	if (flags.has("--json")) printJson({ unnamed: byName ? given : null, digest, removed: images, freedBytes });
	else process.stdout.write(`removed ${digest}; ${formatBytes(freedBytes)} are free\n`);
	return 0;
};

export const imagePruneAction: Action = ({ flags }) =>
	longWork("terminal", async (signal) => {
		const parts = imageParts();
		const olderThanMs = parseDurationMs(flags.text("--older-than") ?? DEFAULT_AGE);
		if (olderThanMs === undefined) {
			throw fail("cli.usage", { problem: "--older-than takes a time, such as 90m, 12h or 30d." });
		}
		const mode = flags.has("--dry-run") ? "report" : "remove";
		const named = flags.has("--all") ? await oldNamed(parts, olderThanMs) : [];
		let freedBytes = 0;
		const removed = new Set<string>();
		for (const { digest, sizeBytes } of named) {
			signal.throwIfAborted();
			// Counted whole when nothing is removed: what they share with others can't be told then.
			const counted = { images: [digest], freedBytes: sizeBytes };
			const removal = mode === "remove" ? await parts.store.remove(digest) : counted;
			for (const image of removal.images) removed.add(image);
			freedBytes += removal.freedBytes;
		}
		const pruned = await parts.store.prune({ olderThanMs, mode, signal });
		for (const image of pruned.images) removed.add(image);
		freedBytes += pruned.freedBytes + (await prunePulls(parts.directories.cache, olderThanMs, mode));
		if (flags.has("--json")) printJson({ mode, images: [...removed], freedBytes });
		else {
			const verb = mode === "remove" ? "removed" : "would remove";
			const lines = [...removed].map((digest) => `${verb} ${digest}\n`).join("");
			process.stdout.write(`${lines}${removed.size} images, ${formatBytes(freedBytes)}\n`);
		}
		return 0;
	});

/** Each once, whatever the number of its names. */
async function oldNamed({ store }: ImageParts, olderThanMs: number): Promise<readonly NamedImage[]> {
	const old = (await store.list()).filter(({ name, addedMs }) => name !== null && Date.now() - addedMs >= olderThanMs);
	return [...new Map(old.map((image) => [image.digest, image])).values()];
}
