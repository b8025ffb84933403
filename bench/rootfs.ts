import { rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { realHost } from "../src/host/index.ts";
import { packRootfs, readSource } from "../src/image/index.ts";
import type { RootfsFormat } from "../src/image/schema.ts";
import { type Column, type Contender, interleave, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";
import { makeSampleImage, TAG } from "./rootfs-image.ts";

const ROUNDS = 3;
const EPOCH = 315_532_800;
/** What `vouch image build` packs with. */
const ZSTD_LEVEL = "6";
const UNCOMPRESSED = ["-noI", "-noD", "-noF", "-noX"];
const ZSTD_COLUMN = "vouch: squashfs";
const ZSTD = ["-comp", "zstd", "-Xcompression-level", ZSTD_LEVEL];

/** From an OCI image of three layers to a packed root file system, against unpacking it and packing the folder. */
export async function benchRootfs(directory: string): Promise<BenchResult> {
	const layout = join(directory, "layout");
	const bytes = await makeSampleImage(layout, directory);
	const bench = new RootfsBench(directory, layout);
	const plain: Pack = { packer: "mksquashfs", argv: squash(UNCOMPRESSED), kind: "" };
	const zstd: Pack = { packer: "mksquashfs", argv: squash(ZSTD), kind: " zstd" };
	const erofs: Pack = {
		packer: "mkfs.erofs",
		argv: (root, disk) => ["mkfs.erofs", `-T${EPOCH}`, disk, root],
		kind: "",
	};
	const columns = await interleave(
		[
			...(["erofs", "squashfs-uncompressed", "squashfs"] as const).map((format) => bench.vouch(format)),
			...bench.umoci([erofs, plain, zstd]),
			...bench.buildah([plain, zstd]),
		],
		ROUNDS,
	);
	const packed = columns.filter(({ name }) => name === ZSTD_COLUMN || name.endsWith(" zstd"));
	const unpacked = columns.filter((column) => !packed.includes(column));
	const mib = (bytes / 2 ** 20).toFixed(0);
	return {
		name: "rootfs",
		measurements: [
			measurement(`${mib} MiB in three gzip layers, packed without compression`, unpacked, "vouch: erofs"),
			measurement(`The same, packed as squashfs with zstd level ${ZSTD_LEVEL}`, packed, ZSTD_COLUMN),
		],
		notes: [
			"The image: Debian minbase, a bundler, a folder of npm packages and some whiteouts. All of it is in the page cache.",
			"vouch runs in this process; the others are started for each step. All of them check the digests of the image.",
			`Sizes in MiB: ${bench.sizes()}.`,
		],
	};
}

type Packer = (root: string, disk: string) => [string, ...string[]];

interface Pack {
	readonly packer: string;
	readonly argv: Packer;
	readonly kind: "" | " zstd";
}

const squash =
	(options: readonly string[]): Packer =>
	(root, disk) => {
		const times = ["-reproducible", "-all-time", String(EPOCH), "-mkfs-time", String(EPOCH)];
		return ["mksquashfs", root, disk, "-noappend", "-quiet", "-no-progress", ...times, ...options];
	};

class RootfsBench {
	readonly #directory: string;
	readonly #layout: string;
	readonly #sizes = new Map<string, number>();

	constructor(directory: string, layout: string) {
		this.#directory = directory;
		this.#layout = layout;
	}

	sizes(): string {
		return [...this.#sizes].map(([name, bytes]) => `${name} ${(bytes / 2 ** 20).toFixed(1)}`).join(", ");
	}

	vouch(format: RootfsFormat): Contender {
		const path = join(this.#directory, "vouch.disk");
		const once = async () => {
			rmSync(path, { force: true });
			const startMs = performance.now();
			const source = { kind: "oci-layout", path: this.#layout, tag: TAG } as const;
			const options = { platform: "linux/amd64", scratchDirectory: this.#directory, host: realHost() } as const;
			await using read = await readSource(source, options);
			const { sizeBytes } = await packRootfs(read.tree, { format, path, epoch: EPOCH });
			this.#sizes.set(`vouch ${format}`, sizeBytes);
			return performance.now() - startMs;
		};
		return { name: `vouch: ${format}`, once };
	}

	/** Unpacked once a round for all that pack it: its time counts for each. */
	umoci(packs: readonly Pack[]): readonly Contender[] {
		const bundle = join(this.#directory, "bundle");
		let unpackMs = 0;
		return packs.map((pack, index) => ({
			name: `umoci unpack + ${pack.packer}${pack.kind}`,
			once: async () => {
				if (index === 0) {
					rmSync(bundle, { recursive: true, force: true });
					unpackMs = await timeProgram(["umoci", "unpack", "--image", `${this.#layout}:${TAG}`, bundle]);
				}
				return unpackMs + (await this.#pack(pack, join(bundle, "rootfs")));
			},
		}));
	}

	/** As above. */
	buildah(packs: readonly Pack[]): readonly Contender[] {
		const store = ["--root", join(this.#directory, "store"), "--runroot", join(this.#directory, "run")];
		const buildah = async (...args: string[]) => {
			const ran = await runProgram(["buildah", ...store, ...args], { workingDirectory: this.#directory });
			return { durationMs: ran.durationMs, said: ran.stdout.trim() };
		};
		let [container, root, openMs] = ["", "", 0];
		return packs.map((pack, index) => ({
			name: `buildah from + ${pack.packer}${pack.kind}`,
			once: async () => {
				if (index === 0) {
					// It makes a name of the path, which must be in lower case.
					const from = await buildah("from", "--quiet", `oci:${basename(this.#layout)}:${TAG}`);
					const mount = await buildah("mount", from.said);
					[container, root, openMs] = [from.said, mount.said, from.durationMs + mount.durationMs];
				}
				const packMs = await this.#pack(pack, root);
				if (index === packs.length - 1) {
					await buildah("umount", container);
					await buildah("rm", container);
					await buildah("rmi", "--all", "--force");
				}
				return openMs + packMs;
			},
		}));
	}

	async #pack({ packer, argv, kind }: Pack, root: string): Promise<number> {
		const disk = join(this.#directory, "other.disk");
		rmSync(disk, { force: true });
		const command = argv(root, disk);
		const durationMs = await timeProgram(command);
		this.#sizes.set(`${packer}${kind}`, statSync(disk).size);
		return durationMs;
	}
}

function measurement(title: string, columns: readonly Column[], own: string): Measurement {
	const others = columns.filter(({ name }) => !name.startsWith("vouch"));
	const goals = others.map(({ name }) => {
		const ratio = medianOf(columns, name) / medianOf(columns, own);
		return goal(`ahead of ${name}`, `${ratio.toFixed(1)} x as fast`, () => ratio > 1);
	});
	return { title, unit: "ms", columns, base: own, goals };
}
