/** Archives and layouts for tests, honest and hostile: headers are written field by field, whatever stands in them. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export interface SampleEntry {
	readonly name: string | Buffer;
	/** One character; default "0", or "5" for a name that ends in a slash. */
	readonly type?: string;
	readonly body?: string | Buffer;
	readonly link?: string | Buffer;
	/** Octal text, or the 8 or 12 bytes of the field. */
	readonly mode?: string;
	readonly uid?: string | Buffer;
	readonly gid?: string | Buffer;
	/** Default: the length of the body. */
	readonly size?: string | Buffer;
	readonly device?: readonly [major: number, minor: number];
	readonly magic?: string;
	/** Records of an extended header that goes before it. */
	readonly pax?: Readonly<Record<string, string | Buffer>>;
	readonly checksum?: string;
}

export function sampleTar(entries: readonly SampleEntry[]): Buffer {
	return Buffer.concat([...entries.map(sampleEntry), Buffer.alloc(1024)]);
}

export function sampleEntry(entry: SampleEntry): Buffer {
	const body = Buffer.from(entry.body ?? "");
	const own = Buffer.concat([sampleHeader(entry, body.length), padded(body)]);
	if (entry.pax === undefined) return own;
	const records = Buffer.concat(Object.entries(entry.pax).map(([key, value]) => paxRecord(key, Buffer.from(value))));
	return Buffer.concat([sampleHeader({ name: "pax", type: "x" }, records.length), padded(records), own]);
}

function sampleHeader(entry: SampleEntry, bodyBytes: number): Buffer {
	const header = Buffer.alloc(512);
	const put = (value: string | Buffer, at: number) => Buffer.from(value).copy(header, at);
	put(Buffer.from(entry.name).subarray(0, 100), 0);
	put(entry.mode ?? "0000644\0", 100);
	put(entry.uid ?? "0000000\0", 108);
	put(entry.gid ?? "0000000\0", 116);
	put(entry.size ?? `${bodyBytes.toString(8).padStart(11, "0")}\0`, 124);
	put("00000000000\0", 136);
	put(entry.type ?? (Buffer.from(entry.name).toString("latin1").endsWith("/") ? "5" : "0"), 156);
	put(Buffer.from(entry.link ?? "").subarray(0, 100), 157);
	put(entry.magic ?? "ustar\x0000", 257);
	const [major, minor] = entry.device ?? [0, 0];
	put(major.toString(8).padStart(7, "0"), 329);
	put(minor.toString(8).padStart(7, "0"), 337);
	header.fill(" ", 148, 156);
	const sum = header.reduce((total, byte) => total + byte, 0);
	put(entry.checksum ?? `${sum.toString(8).padStart(6, "0")}\0 `, 148);
	return header;
}

function padded(body: Buffer): Buffer {
	return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export function paxRecord(key: string, value: Buffer): Buffer {
	let length = key.length + value.length + 3;
	while (String(length).length + key.length + value.length + 3 !== length) length += 1;
	return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from("\n")]);
}

export function digestText(bytes: Uint8Array): string {
	return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export interface SampleLayer {
	readonly tar: Buffer;
	/** Default gzip. */
	readonly stored?: Buffer;
	readonly mediaType?: string;
}

export interface SampleImage {
	readonly layers: readonly SampleLayer[];
	readonly architecture?: string;
	readonly tag?: string;
	readonly config?: object;
}

const OCI = "application/vnd.oci.image";

/** Writes an OCI layout with the images into a folder. */
export function writeLayout(directory: string, images: readonly SampleImage[]): void {
	mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
	writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
	const manifests = images.map((image) => ({
		...writeImage(directory, image),
		...(image.tag === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": image.tag } }),
	}));
	writeFileSync(join(directory, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
}

/** Writes one image's blobs and gives the descriptor of its manifest. */
export function writeImage(directory: string, { layers, architecture = "amd64", config = {} }: SampleImage): object {
	const document = {
		architecture,
		os: "linux",
		config,
		rootfs: { type: "layers", diff_ids: layers.map(({ tar }) => digestText(tar)) },
	};
	const manifest = {
		schemaVersion: 2,
		mediaType: `${OCI}.manifest.v1+json`,
		config: { mediaType: `${OCI}.config.v1+json`, ...writeBlob(directory, Buffer.from(JSON.stringify(document))) },
		layers: layers.map(({ tar, stored = gzipSync(tar), mediaType = `${OCI}.layer.v1.tar+gzip` }) => {
			return { mediaType, ...writeBlob(directory, stored) };
		}),
	};
	return { mediaType: manifest.mediaType, ...writeBlob(directory, Buffer.from(JSON.stringify(manifest))) };
}

export function writeBlob(directory: string, bytes: Uint8Array): { readonly digest: string; readonly size: number } {
	const digest = digestText(bytes);
	writeFileSync(join(directory, "blobs/sha256", digest.slice("sha256:".length)), bytes);
	return { digest, size: bytes.length };
}

/** What `docker save` wrote before it wrote OCI layouts. */
export function sampleDockerArchive(layers: readonly Buffer[], tag = "app:1"): Buffer {
	const config = Buffer.from(
		JSON.stringify({
			architecture: "amd64",
			os: "linux",
			config: { Cmd: ["/bin/app"], Env: null },
			rootfs: { type: "layers", diff_ids: layers.map(digestText) },
		}),
	);
	const name = `${digestText(config).slice("sha256:".length)}.json`;
	const files = layers.map((_, index) => `${String(index).padStart(64, "0")}/layer.tar`);
	const manifest = JSON.stringify([{ Config: name, RepoTags: [tag], Layers: files }]);
	return sampleTar([
		...layers.map((body, index) => ({ name: files[index] ?? "", body })),
		{ name, body: config },
		{ name: "manifest.json", body: manifest },
	]);
}
