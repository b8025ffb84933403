import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { buildersMissing, ImageDoor } from "../system/image-door.ts";
import { buildTwice, Stranger } from "../system/stranger.ts";

const door = new ImageDoor();
const stranger = new Stranger();
after(async () => {
	await door.close();
	stranger.close();
});

test("a Debian system gives the same image.json to somebody else, somewhere else, at another time", {
	skip: buildersMissing("mmdebstrap"),
}, async (t) => {
	if (stranger.sameUser !== undefined) t.diagnostic(`by the same user: ${stranger.sameUser}`);
	const project = join(door.workspace, "debian-project");
	mkdirSync(project);
	writeFileSync(
		join(project, "vouch-image.yaml"),
		"name: same-debian\nsource: debian:bookworm?packages=python3-minimal\n",
	);
	const { mine, theirs } = await buildTwice(door, stranger, "debian-project");
	assert.equal(theirs, mine);
});
