import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ImageDoor } from "../system/image-door.ts";

/** A template's project as a person makes it: created, built, found unchanged, run, verified, and built again from what was recorded. */
export async function tryTemplate(template: string): Promise<void> {
	const door = new ImageDoor();
	const name = `try-${template}`;
	const project = join(door.workspace, name);
	const vouch = async (...args: readonly string[]) => (await door.said(0, args, project)).stdout;
	try {
		await door.vouch(0, "create", name, "--template", template);
		const { digest, lockFile } = JSON.parse(await vouch("image", "build", "--json"));
		assert.ok(existsSync(lockFile));
		assert.equal(JSON.parse(await vouch("image", "build", "--json")).cached, true);
		await vouch("image", "verify", name);
		const counted = await vouch("run", "--image", name, "--isolation", "vm", "--", name, "README.md");
		assert.ok(JSON.parse(counted)["README.md"].lines > 10, counted);
		assert.match(await vouch("image", "rebuild", name), new RegExp(`^identical {2}${digest}`));
	} finally {
		await door.close();
	}
}
