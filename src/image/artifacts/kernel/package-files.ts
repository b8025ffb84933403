import type { Host } from "../../../host/index.ts";
import { Refusal } from "../rootfs/source.ts";
import { type TarEntry, TarReader } from "../rootfs/tar/reader.ts";
import { pathOfProgram } from "./programs.ts";
import { KernelRefusal } from "./refusal.ts";

/** What a kernel's package holds that a guest may need. */
export interface PackageFiles {
	readonly release: string;
	/** Of /boot, by name without the release. */
	readonly boot: ReadonlyMap<string, Buffer>;
	/** Of the modules' folder, by path in it. */
	readonly modules: ReadonlyMap<string, Buffer>;
}

const FILE_BYTES = 256 << 20;
const ALL_BYTES = 1 << 30;
const RELEASE = /^[0-9][A-Za-z0-9.+~_-]{0,100}$/;
const BOOT = /^(?:\.?\/)?boot\/(vmlinu[xz])-([^/]+)$/;
const MODULES = /^(?:\.?\/)?(?:usr\/)?lib\/modules\/([^/]+)\/(modules\.builtin|kernel\/.+\.ko(?:\.[a-z]+)?)$/;

/** Reads a package in one go: nothing of it is written to a disk, and nothing of it is run. Throws KernelRefusal. */
export async function readPackage(host: Host, path: string, signal?: AbortSignal): Promise<PackageFiles> {
	const unpacker = await pathOfProgram(host, "dpkg-deb");
	const stop = new AbortController();
	const either = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
	const program = host.start([unpacker, "--fsys-tarfile", path], { signal: either });
	program.stdin.end();
	const collector = new Collector();
	try {
		for await (const chunk of program.stdout) collector.push(chunk as Buffer);
		const { exitCode, stderr } = await program.ended;
		signal?.throwIfAborted();
		if (exitCode !== 0) throw new KernelRefusal(`dpkg-deb says: ${stderr.trim().split("\n")[0] ?? exitCode}`);
		return collector.end();
	} catch (error) {
		if (error instanceof Refusal) throw new KernelRefusal(error.message, { cause: error });
		throw error;
	} finally {
		stop.abort();
		await program.ended;
	}
}

interface Wanted {
	readonly bytes: Buffer;
	readonly offset: number;
}

/** Keeps the contents of some entries of an archive that comes in pieces. */
export class Collector {
	readonly #boot = new Map<string, Buffer>();
	readonly #modules = new Map<string, Buffer>();
	readonly #reader = new TarReader((entry) => this.#look(entry));
	readonly #releases = new Set<string>();
	/** Kept entries whose contents may still come. */
	#open: Wanted[] = [];
	#position = 0;
	#keptBytes = 0;

	push(chunk: Buffer): void {
		this.#reader.push(chunk);
		const [start, end] = [this.#position, this.#position + chunk.length];
		this.#position = end;
		for (const { bytes, offset } of this.#open) {
			const from = Math.max(start, offset);
			const until = Math.min(end, offset + bytes.length);
			if (from < until) chunk.copy(bytes, from - offset, from - start, until - start);
		}
		this.#open = this.#open.filter(({ bytes, offset }) => offset + bytes.length > end);
	}

	end(): PackageFiles {
		this.#reader.end();
		const [release, another] = this.#releases;
		if (release === undefined) throw new KernelRefusal("it has no kernel");
		if (another !== undefined) throw new KernelRefusal(`it has kernels of two releases, ${release} and ${another}`);
		if (!RELEASE.test(release)) throw new KernelRefusal(`it has a kernel of the release ${JSON.stringify(release)}`);
		return { release, boot: this.#boot, modules: this.#modules };
	}

	#look(entry: TarEntry): void {
		if (entry.kind !== "file") return;
		const boot = BOOT.exec(entry.path);
		if (boot !== null) this.#keep(this.#boot, boot[1] ?? "", entry, boot[2] ?? "");
		const module = MODULES.exec(entry.path);
		if (module !== null) this.#keep(this.#modules, module[2] ?? "", entry, module[1] ?? "");
	}

	#keep(into: Map<string, Buffer>, name: string, { sizeBytes, offset }: TarEntry, release: string): void {
		this.#keptBytes += sizeBytes;
		if (sizeBytes > FILE_BYTES || this.#keptBytes > ALL_BYTES)
			throw new KernelRefusal("it is larger than a kernel can be");
		if (into.has(name)) throw new KernelRefusal(`it has ${name} twice`);
		this.#releases.add(release);
		const bytes = Buffer.alloc(sizeBytes);
		into.set(name, bytes);
		this.#open.push({ bytes, offset });
	}
}
