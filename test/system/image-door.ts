import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { FrontDoor } from "./front-door.ts";

/** Packages, kernels and bases are fetched once for all runs of the tests. */
export const imageCache = join(import.meta.dirname, "../../build/test-cache/images");

/** A front door for commands about images. */
export class ImageDoor extends FrontDoor {
	/** Runs and expects this exit code; what it printed. */
	async vouch(code: number, ...args: readonly string[]): Promise<string> {
		return (await this.said(code, args)).stdout;
	}

	/** The same, and what it said beside. */
	async said(code: number, args: readonly string[], directory = this.workspace) {
		const ended = await this.run(args, { environment: { XDG_CACHE_HOME: imageCache }, directory });
		const stdout = ended.stdout.toString();
		assert.equal(ended.code, code, `vouch ${args.join(" ")}: ${stdout}${ended.stderr}`);
		return { stdout, stderr: ended.stderr };
	}

	/** Builds and expects success; the image's digest. */
	async build(...args: readonly string[]): Promise<string> {
		const digest = (await this.vouch(0, "image", "build", ...args, "--quiet")).trim();
		assert.match(digest, /^sha256:[0-9a-f]{64}$/);
		return digest;
	}
}

/** Why a test that needs this program can't run here, or false. */
export function programMissing(program: string): string | false {
	return spawnSync(program, ["--version"]).error === undefined ? false : `${program} is not installed`;
}

type Builder = "mmdebstrap" | "buildah" | "skopeo";

export function buildersMissing(...needed: readonly Builder[]): string | false {
	return needed.map(programMissing).find((missing) => missing !== false) ?? false;
}

const BUSYBOX = "/bin/busybox";

export function busyboxMissing(): string | false {
	return existsSync(BUSYBOX) ? false : "busybox-static is not installed";
}

/** A root file system of one program. */
export function makeBusyboxRoot(folder: string): string {
	for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(folder, name), { recursive: true });
	copyFileSync(BUSYBOX, join(folder, "bin/busybox"));
	for (const name of ["sh", "cat", "ls", "wget"]) symlinkSync("busybox", join(folder, "bin", name));
	return folder;
}
