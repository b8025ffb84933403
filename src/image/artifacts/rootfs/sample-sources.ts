/** Sources on disk for tests, and what must hold after reading one: nothing is left of it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VouchError } from "../../../core/index.ts";
import { realHost } from "../../../host/index.ts";
import { readSource } from "./read-source.ts";
import { type SampleImage, writeLayout } from "./sample-archives.ts";
import { linesOf } from "./sample-trees.ts";
import type { ReadRootfs, RootfsSource, SourceLimits } from "./source.ts";

export interface More {
	readonly limits?: Partial<SourceLimits>;
	readonly signal?: AbortSignal;
	readonly progress?: () => void;
}

export class SampleSources {
	readonly home = mkdtempSync(join(tmpdir(), "vouch-rootfs-"));
	readonly scratchDirectory = join(this.home, "scratch");
	#count = 0;

	remove(): void {
		rmSync(this.home, { recursive: true, force: true });
	}

	folder(): string {
		this.#count += 1;
		const path = join(this.home, String(this.#count));
		mkdirSync(path);
		return path;
	}

	file(bytes: Uint8Array): string {
		const path = join(this.folder(), "archive");
		writeFileSync(path, bytes);
		return path;
	}

	layout(...images: readonly SampleImage[]): RootfsSource & { readonly path: string } {
		const path = this.folder();
		writeLayout(path, images);
		return { kind: "oci-layout", path, tag: null };
	}

	read(source: RootfsSource, more: More = {}): Promise<ReadRootfs> {
		const { scratchDirectory } = this;
		return readSource(source, { platform: "linux/amd64", scratchDirectory, host: realHost(), ...more });
	}

	async linesFrom(source: RootfsSource): Promise<readonly string[]> {
		await using rootfs = await this.read(source);
		return linesOf(rootfs.tree);
	}

	async assertRefused(source: RootfsSource, reason: RegExp, more: More = {}): Promise<void> {
		await assert.rejects(this.read(source, more), (error) => {
			assert.ok(error instanceof VouchError, String(error));
			assert.equal(error.code, "rootfs-refused", error.message);
			assert.match(error.message, reason);
			return true;
		});
		this.assertNothingLeft();
	}

	/** No file in the scratch folder, none of this test's held open. */
	assertNothingLeft(): void {
		assert.deepEqual(this.#openFiles(), []);
		try {
			assert.deepEqual(readdirSync(this.scratchDirectory), []);
		} catch (error) {
			assert.equal((error as NodeJS.ErrnoException).code, "ENOENT");
		}
	}

	/** With a name or without. */
	#openFiles(): readonly string[] {
		return readdirSync("/proc/self/fd").flatMap((fd) => {
			try {
				const target = readlinkSync(`/proc/self/fd/${fd}`);
				return target.startsWith(this.home) ? [target] : [];
			} catch {
				return [];
			}
		});
	}
}
