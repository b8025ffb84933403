import { digestSchema, formatBytes } from "../../core/index.ts";
import {
	EXPORT_FORMS,
	type ExportForm,
	exportImage,
	importImages,
	parseRegistryReference,
	pullImage,
	pushImages,
	type StoredImage,
} from "../../image/index.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { longWork } from "../image/long-work.ts";
import {
	authFilesFrom,
	checkedName,
	findImage,
	type ImageParts,
	imageParts,
	nameFrom,
	platformOf,
} from "../image/parts.ts";
import { printable, printJson, table } from "../screen.ts";

export const imagePushAction: Action = ({ operands: [image = "", reference = ""], flags }) =>
	longWork(volumeOf(flags), async (signal, progress) => {
		const parts = imageParts();
		const images = await imagesToPush(parts, image, flags);
		const pushed = await pushImages(images, reference, {
			...registrySettings(parts),
			signal,
			progress: progress.bytes(`pushing ${printable(image)}`),
		});
		progress.done();
		show(
			flags,
			{
				digest: images.map(({ digest }) => digest).join(", "),
				pinned: pushed.pinned,
				sent: `${formatBytes(pushed.sentBytes)}; ${formatBytes(pushed.skippedBytes)} were there`,
			},
			{ ...pushed, images: images.map(({ digest, manifest }) => ({ digest, platform: manifest.platform })) },
		);
		return 0;
	});

/** All platforms of a name, when nothing says which. */
async function imagesToPush(
	parts: ImageParts,
	text: string,
	flags: FlagValues,
): Promise<readonly [StoredImage, ...StoredImage[]]> {
	const platform = platformOf(flags.text("--platform"));
	const named = (await parts.store.list()).filter(({ name }) => name === text);
	const [first, ...others] = await Promise.all(named.map(({ digest }) => findImage(parts, digest)));
	if (platform === undefined && first !== undefined) return [first, ...others];
	return [await findImage(parts, text, platform)];
}

export const imagePullAction: Action = ({ operands: [reference = ""], flags }) =>
	longWork(volumeOf(flags), async (signal, progress) => {
		const parts = imageParts();
		const { repository } = parseRegistryReference(reference);
		const name = checkedName(flags.text("--name") ?? nameFrom(repository));
		const platform = platformOf(flags.text("--platform"));
		const expect = digestSchema.optional().safeParse(flags.text("--digest"));
		if (!expect.success) throw fail("cli.usage", { problem: "--digest takes sha256: and 64 hexadecimal digits." });
		const pulled = await pullImage(reference, {
			...registrySettings(parts),
			cacheDirectory: parts.directories.cache,
			signal,
			progress: progress.bytes(`pulling ${printable(reference)}`),
			...(platform && { platform }),
			...(expect.data && { expect: expect.data }),
		});
		progress.done();
		await parts.store.name(name, pulled.digest);
		const { digest, manifest, fetchedBytes, artifactDigest, pinned } = pulled;
		show(
			flags,
			{
				name,
				digest,
				platform: manifest.platform,
				fetched: fetchedBytes === 0 ? "nothing: all of it was here" : formatBytes(fetchedBytes),
				"run it": `vouch run --image ${name} --isolation vm -- …`,
			},
			{ name, digest, platform: manifest.platform, fetchedBytes, artifactDigest, pinned },
		);
		return 0;
	});

export const imageExportAction: Action = ({ operands: [image = "", path = ""], flags }) =>
	longWork(volumeOf(flags), async (signal, progress) => {
		const parts = imageParts();
		const found = await findImage(parts, image);
		const form = formOf(flags.text("--as"), path);
		const names = (await parts.store.list()).filter(({ digest }) => digest === found.digest);
		const name = names.find((one) => one.name !== null)?.name;
		await exportImage(found, {
			store: parts.store,
			form,
			path,
			signal,
			progress: progress.bytes(`exporting ${printable(image)}`),
			...(name && { name }),
		});
		progress.done();
		show(flags, { digest: found.digest, [form]: printable(path) }, { digest: found.digest, form, path });
		return 0;
	});

function formOf(given: string | undefined, path: string): ExportForm {
	return EXPORT_FORMS.find((form) => form === given) ?? (path.endsWith(".tar") ? "oci-archive" : "folder");
}

export const imageImportAction: Action = ({ operands: [path = ""], flags }) =>
	longWork(volumeOf(flags), async (signal, progress) => {
		const parts = imageParts();
		const given = flags.text("--name");
		if (given !== undefined) checkedName(given);
		const platform = platformOf(flags.text("--platform"));
		const imported = await importImages(path, {
			store: parts.store,
			signal,
			progress: progress.bytes(`importing ${printable(path)}`),
			...(platform && { platform }),
		});
		progress.done();
		const images = imported.map(({ digest, manifest, name }) => ({
			name: given ?? nameFrom(name ?? path),
			digest,
			platform: manifest.platform,
		}));
		for (const { name, digest } of images) await parts.store.name(name, digest);
		if (flags.has("--json")) printJson(images);
		else process.stdout.write(`${table(images.map((image) => [image.name, image.platform, image.digest]))}\n`);
		return 0;
	});

function volumeOf(flags: FlagValues): "normal" | "quiet" {
	return flags.has("--json") || flags.has("--quiet") ? "quiet" : "normal";
}

function registrySettings({ store, host }: ImageParts) {
	return {
		store,
		host,
		authFiles: authFilesFrom(process.env, host.userId),
		proxyEnvironment: process.env,
	};
}

function show(flags: FlagValues, rows: Readonly<Record<string, string>>, document: object): void {
	if (flags.has("--json")) printJson(document);
	else process.stdout.write(`${table(Object.entries(rows), Number.POSITIVE_INFINITY)}\n`);
}
