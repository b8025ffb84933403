import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { ImageDoor } from "./image-door.ts";

const door = new ImageDoor();
after(() => door.close());

const root = join(door.workspace, "rootfs");
mkdirSync(join(root, "usr/bin"), { recursive: true });
writeFileSync(join(root, "usr/bin/app"), "#!/bin/sh\necho hello\n");
chmodSync(join(root, "usr/bin/app"), 0o755);

test("an image comes out identical from its recorded inputs; a planted difference is named by file and cause", async () => {
	const digest = await door.build("./rootfs");
	assert.match(await door.vouch(0, "image", "build", "./rootfs"), /nothing had changed/);
	assert.equal(await door.vouch(0, "image", "rebuild", "rootfs"), `identical  ${digest}\n`);

	// Elsewhere, from a copy of the source and without what this machine remembers.
	cpSync(root, join(door.workspace, "copy"), { recursive: true });
	assert.match(await door.vouch(0, "image", "rebuild", "rootfs", "--source", "./copy"), /^identical/);

	writeFileSync(join(root, "usr/bin/app"), "#!/bin/sh\necho planted\n");
	const said = await door.vouch(1, "image", "rebuild", "rootfs");
	assert.match(said, /~ +\/usr\/bin\/app +contents, size 21 → 23/);
	assert.match(said, /source\.treeDigest +sha256:/);

	await door.vouch(0, "image", "build", "./rootfs", "--name", "planted", "--quiet");
	const { files, facts } = JSON.parse(await door.vouch(1, "image", "diff", "rootfs", "planted", "--json"));
	assert.deepEqual(
		files.map(({ path }: { path: string }) => path),
		["/usr/bin/app"],
	);
	const named = facts.map(({ what }: { what: string }) => what);
	assert.ok(named.includes("root hash") && named.includes("command line"), named.join(", "));
	assert.match(await door.vouch(0, "image", "diff", "rootfs", digest), /^the same image/);
});
