import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { formatBytes, formatDurationMs } from "../../core/index.ts";
import { type BuiltImage, buildImage, RECIPE_FILE, type RecipeRequest, recipeFor } from "../../image/index.ts";
import type { Recipe } from "../../image/recipe/schema.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { longWork } from "../image/long-work.ts";
import { checkedName, type ImageParts, imageParts } from "../image/parts.ts";
import { shellWord } from "../run/approval.ts";
import { printable, printJson, table } from "../screen.ts";

export const imageBuildAction: Action = ({ operands: [source = "."], flags }) => {
	const volume = flags.has("--quiet") || flags.has("--json") ? "quiet" : "normal";
	return longWork(volume, async (signal, progress) => {
		const parts = imageParts();
		const beganMs = performance.now();
		const recipe = await recipeFor(requestOf(source, flags), { host: parts.host });
		const built = await buildImage(recipe, {
			store: parts.store,
			cacheDirectory: parts.directories.cache,
			host: parts.host,
			progress: ({ what, ...event }) => progress.report({ ...event, step: what }),
			signal,
			pins: flags.has("--update") ? "update" : "remembered",
			...(keepsLock(recipe, flags) ? { lock: "write" } : {}),
		});
		progress.done();
		show(parts, flags, built, performance.now() - beganMs);
		return 0;
	});
};

function requestOf(source: string, flags: FlagValues): RecipeRequest {
	const texts = {
		kind: flags.text("--kind"),
		name: flags.text("--name"),
		platform: flags.text("--platform"),
		rootfs: flags.text("--format"),
		target: flags.text("--target"),
		network: flags.text("--network"),
		snapshot: flags.text("--snapshot"),
	};
	if (texts.name !== undefined) checkedName(texts.name);
	const packages = flags.all("--packages").flatMap((text) => text.split(",").filter((word) => word !== ""));
	const epoch = flags.text("--epoch");
	return {
		source,
		...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined)),
		...(epoch === undefined ? {} : { epoch: secondsOf(epoch) }),
		...(packages.length === 0 ? {} : { packages }),
		...(flags.has("--build-arg") ? { arguments: argumentsOf(flags.all("--build-arg")) } : {}),
	};
}

function secondsOf(text: string): number {
	if (/^\d{1,10}$/.test(text)) return Number(text);
	throw fail("cli.usage", { problem: `--epoch takes whole seconds since 1970; it was given "${text}".` });
}

function argumentsOf(given: readonly string[]): Readonly<Record<string, string>> {
	return Object.fromEntries(
		given.map((text) => {
			const equals = text.indexOf("=");
			// Of a name alone docker takes the value from the environment: two people would get two images.
			if (equals < 1) throw fail("cli.usage", { problem: `--build-arg takes NAME=VALUE; it was given "${text}".` });
			return [text.slice(0, equals), text.slice(equals + 1)];
		}),
	);
}

/** In a folder that is set up for Vouch the pins are part of the project; nobody else's folder is written to unasked. */
function keepsLock({ lockFile }: Recipe, flags: FlagValues): boolean {
	if (flags.has("--lock") || lockFile === null) return flags.has("--lock");
	return existsSync(lockFile) || existsSync(join(dirname(lockFile), RECIPE_FILE));
}

function show({ store }: ImageParts, flags: FlagValues, built: BuiltImage, tookMs: number): void {
	const { digest, manifest, cached, planDigest, lockFile } = built;
	const { platform } = manifest;
	const name = built.name ?? digest;
	const sizeBytes = Object.values(manifest.parts).reduce((sum, { size }) => sum + size, 0);
	if (flags.has("--json")) {
		const parts = Object.fromEntries(
			Object.entries(manifest.parts).map(([part, one]) => [part, { ...one, path: store.pathOf(one) }]),
		);
		printJson({ name: built.name, digest, platform, cached, planDigest, lockFile, sizeBytes, parts });
		return;
	}
	if (flags.has("--quiet")) {
		process.stdout.write(`${digest}\n`);
		return;
	}
	const { disk, kernel, initramfs } = manifest.parts;
	const command = [...manifest.config.entrypoint, ...manifest.config.command];
	const words = command.length === 0 ? "COMMAND…" : printable(command.map(shellWord).join(" "));
	const sizes = Object.entries({ disk, kernel, initramfs }).map(([part, { size }]) => `${part} ${formatBytes(size)}`);
	const pins = lockFile === null ? "" : printable(relative(process.cwd(), lockFile));
	const rows = [
		["image", name],
		["digest", digest],
		["platform", platform],
		["size", `${formatBytes(sizeBytes)}: ${sizes.join(", ")}`],
		["built", cached ? `nothing had changed (${formatDurationMs(tookMs)})` : `in ${formatDurationMs(tookMs)}`],
		...(pins === "" ? [] : [["pins", `${pins}: commit it, and everybody gets the same`]]),
		["run it", `vouch run --image ${name} --isolation vm -- ${words}`],
	];
	process.stdout.write(`${table(rows, Number.POSITIVE_INFINITY)}\n`);
}
