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
const ZSTD = ["-comp", "zstd", "-Xcompression-level", ZSTD_LEVEL];

/** From an OCI image of three layers to a packed root file system, against unpacking it and packing the folder. */
export async function benchRootfs(directory: string): Promise<BenchResult> {
	const layout = join(directory, "layout");
	const bytes = await makeSampleImage(layout, directory);
	const bench = new RootfsBench(directory, layout);
	const plain = await interleave(
		[
			bench.vouch("erofs"),
			bench.vouch("squashfs-uncompressed"),
			bench.umoci("mkfs.erofs", (root, disk) => ["mkfs.erofs", `-T${EPOCH}`, disk, root]),
			bench.umoci("mksquashfs", squash(UNCOMPRESSED)),
			bench.buildah("mksquashfs", squash(UNCOMPRESSED)),
		],
		ROUNDS,
	);
	const zstd = await interleave(
		[bench.vouch("squashfs"), bench.umoci("mksquashfs", squash(ZSTD)), bench.buildah("mksquashfs", squash(ZSTD))],
		ROUNDS,
	);
	const mib = (bytes / 2 ** 20).toFixed(0);
	return {
		name: "rootfs",
		measurements: [
			measurement(`${mib} MiB in three gzip layers, packed without compression`, plain, "vouch: erofs"),
			measurement(`The same, packed as squashfs with zstd level ${ZSTD_LEVEL}`, zstd, "vouch: squashfs"),
		],
		notes: [
			"The image: Debian minbase, Node's program, a folder of npm packages and some whiteouts. All of it is in the page cache.",
			"vouch runs in this process; the others are started for each step. All of them check the digests of the image.",
			`Sizes in MiB: ${bench.sizes()}.`,
		],
	};
}

type Packer = (root: string, disk: string) => [string, ...string[]];

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

	umoci(packer: string, argv: Packer): Contender {
		const bundle = join(this.#directory, "bundle");
		const once = async () => {
			rmSync(bundle, { recursive: true, force: true });
			const unpackMs = await timeProgram(["umoci", "unpack", "--image", `${this.#layout}:${TAG}`, bundle]);
			return unpackMs + (await this.#pack(packer, argv, join(bundle, "rootfs")));
		};
		return { name: `umoci unpack + ${packer}`, once };
	}

	buildah(packer: string, argv: Packer): Contender {
		const store = ["--root", join(this.#directory, "store"), "--runroot", join(this.#directory, "run")];
		const buildah = (...args: string[]) =>
			runProgram(["buildah", ...store, ...args], { workingDirectory: this.#directory });
		const once = async () => {
			// It makes a name of the path, which must be in lower case.
			const from = await buildah("from", "--quiet", `oci:${basename(this.#layout)}:${TAG}`);
			const container = from.stdout.trim();
			const mount = await buildah("mount", container);
			const packMs = await this.#pack(packer, argv, mount.stdout.trim());
			await buildah("umount", container);
			await buildah("rm", container);
			await buildah("rmi", "--all", "--force");
			return from.durationMs + mount.durationMs + packMs;
		};
		return { name: `buildah from + ${packer}`, once };
	}

	async #pack(packer: string, argv: Packer, root: string): Promise<number> {
		const disk = join(this.#directory, "other.disk");
		rmSync(disk, { force: true });
		const command = argv(root, disk);
		const durationMs = await timeProgram(command);
		const kind = command.includes("-noD") ? " uncompressed" : command.includes("zstd") ? " zstd" : "";
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
