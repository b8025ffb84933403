import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { FrontDoor } from "./front-door.ts";

/** The kernel's package is fetched once for all runs of the tests. */
const environment = { XDG_CACHE_HOME: join(import.meta.dirname, "../../build/test-cache/images") };
const door = new FrontDoor();
after(() => door.close());

const root = join(door.workspace, "rootfs");
mkdirSync(join(root, "usr/bin"), { recursive: true });
writeFileSync(join(root, "usr/bin/app"), "#!/bin/sh\necho hello\n");
chmodSync(join(root, "usr/bin/app"), 0o755);

async function vouch(code: number, ...args: readonly string[]): Promise<string> {
	const ended = await door.run(args, { environment });
	assert.equal(ended.code, code, `${ended.stdout.toString()}${ended.stderr}`);
	return ended.stdout.toString();
}

test("an image comes out identical from its recorded inputs; a planted difference is named by file and cause", async () => {
	const digest = (await vouch(0, "image", "build", "./rootfs", "--quiet")).trim();
	assert.match(digest, /^sha256:[0-9a-f]{64}$/);
	assert.match(await vouch(0, "image", "build", "./rootfs"), /nothing had changed/);
	assert.equal(await vouch(0, "image", "rebuild", "rootfs"), `identical  ${digest}\n`);

	// Elsewhere, from a copy of the source and without what this machine remembers.
	cpSync(root, join(door.workspace, "copy"), { recursive: true });
	assert.match(await vouch(0, "image", "rebuild", "rootfs", "--source", "./copy"), /^identical/);

	writeFileSync(join(root, "usr/bin/app"), "#!/bin/sh\necho planted\n");
	const said = await vouch(1, "image", "rebuild", "rootfs");
	assert.match(said, /~ +\/usr\/bin\/app +contents, size 21 → 23/);
	assert.match(said, /source\.treeDigest +sha256:/);

	await vouch(0, "image", "build", "./rootfs", "--name", "planted", "--quiet");
	const { files, facts } = JSON.parse(await vouch(1, "image", "diff", "rootfs", "planted", "--json"));
	assert.deepEqual(
		files.map(({ path }: { path: string }) => path),
		["/usr/bin/app"],
	);
	const named = facts.map(({ what }: { what: string }) => what);
	assert.ok(named.includes("root hash") && named.includes("command line"), named.join(", "));
	assert.match(await vouch(0, "image", "diff", "rootfs", digest), /^the same image/);
});
