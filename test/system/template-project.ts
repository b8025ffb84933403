import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FrontDoor } from "./front-door.ts";

/** Packages and bases are fetched once for all runs of the tests. */
const cache = join(import.meta.dirname, "../../build/test-cache/images");

/** What a template's project needs on this machine, or false. */
export function buildersMissing(): string | false {
	const needed = { mmdebstrap: "mmdebstrap", buildah: "buildah", skopeo: "skopeo" };
	const missing = Object.entries(needed).filter(([program]) => spawnSync(program, ["--version"]).error !== undefined);
	if (missing.length > 0) return `not installed: ${missing.map(([, name]) => name).join(" ")}`;
	return process.geteuid?.() === 0 ? false : "bases of Debian packages are made as root here";
}

/** A template's project as a person makes it: created, built, found unchanged, verified, and built again from what was recorded. */
export async function tryTemplate(template: string): Promise<void> {
	const door = new FrontDoor();
	const name = `try-${template}`;
	const project = join(door.workspace, name);
	const vouch = (...args: readonly string[]) => {
		const inside = existsSync(project) ? { directory: project } : {};
		return door.run(args, { environment: { XDG_CACHE_HOME: cache }, ...inside });
	};
	try {
		assert.equal((await vouch("create", name, "--template", template)).code, 0);
		const built = await vouch("image", "build", "--json");
		assert.equal(built.code, 0, built.stderr);
		const { digest, lockFile } = JSON.parse(built.stdout.toString());
		assert.ok(existsSync(lockFile));
		const again = await vouch("image", "build", "--json");
		assert.deepEqual(JSON.parse(again.stdout.toString()).cached, true, again.stderr);
		const verified = await vouch("image", "verify", name);
		assert.equal(verified.code, 0, verified.stdout.toString());

		const rebuilt = await vouch("image", "rebuild", name);
		assert.equal(rebuilt.code, 0, `${rebuilt.stdout.toString()}${rebuilt.stderr}`);
		assert.match(rebuilt.stdout.toString(), new RegExp(`^identical {2}${digest}`));
	} finally {
		await door.close();
	}
}
