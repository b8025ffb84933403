import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { type GuestImage, guestImage, missingFor, packFolder, packScratch } from "./guest-image.ts";
import { finish, Machine } from "./machine.ts";
import { type Peer, STREAM, TYPE } from "./peer.ts";
import { type Run, record, u8, u32 } from "./records.ts";

const skip = missingFor("amd64") ?? false;

interface Change {
	readonly kind: string;
	readonly path: string;
	readonly mode: string;
	readonly body: string;
}

function readChanges(bytes: Buffer): Change[] {
	const changes: Change[] = [];
	for (let at = 0; at < bytes.length; ) {
		const kind = bytes.toString("latin1", at, at + 1);
		const pathBytes = bytes.readUInt16LE(at + 2);
		const size = Number(bytes.readBigUInt64LE(at + 8));
		const body = at + 24 + pathBytes;
		const path = bytes.toString("utf8", at + 24, body);
		const mode = bytes.readUInt32LE(at + 4).toString(8);
		assert.equal(bytes.readUInt8(at + 1), 0);
		changes.push({ kind, path, mode, body: bytes.toString("utf8", body, body + size) });
		at = body + size;
	}
	return changes;
}

async function collect(peer: Peer): Promise<Change[]> {
	peer.send(TYPE.collect, 0);
	await peer.until(() => peer.ended.has(STREAM.changes), "the end of the changes");
	return readChanges(peer.bytes(STREAM.changes));
}

/** Sorted: within a folder they come in the order of its file system. */
function lines(changes: readonly Change[]): string[] {
	return changes.map(({ kind, path, mode, body }) => `${kind} ${path} ${mode} ${body}`.trim()).sort();
}

const workspace = (scratch: string, ...kept: readonly string[]): Buffer =>
	record("w", u8(1), "/workspace", "serial:vouch-work", "erofs", scratch, ...kept);

const SCRIPT = `cd /workspace
echo changed > kept/file; rm gone; rm -r emptied; mkdir emptied; echo new > emptied/inside
mkdir -p made/below; echo deep > made/below/file; ln -s ../elsewhere made/link; mkfifo made/pipe
mv moved moved-away; chmod 700 mode; truncate -s 3M made/hole
echo x >> protected/settings; rm -r protected; mv protected other; echo y > .hooks
cat linked; ls -ld kept; id -u; rm made/nothing; echo rest > $(printf 'a\\nb')
exit 0`;

describe("the workspace of a guest", { concurrency: 2, skip }, () => {
	let image: GuestImage;
	let folder: string;
	let work: string;
	before(() => {
		image = guestImage("amd64");
		folder = mkdtempSync(join(tmpdir(), "vouch-workspace-"));
		const tree = join(folder, "tree");
		for (const name of ["kept", "emptied", "protected"]) mkdirSync(join(tree, name), { recursive: true });
		const files = ["kept/file", "gone", "moved", "mode", "emptied/old", "protected/settings", ".hooks", "untouched"];
		for (const name of files) writeFileSync(join(tree, name), `${name}\n`);
		symlinkSync("/etc/passwd", join(tree, "linked"));
		chmodSync(join(tree, "mode"), 0o644);
		work = join(folder, "work");
		packFolder(tree, work);
	});
	after(() => rmSync(folder, { recursive: true }));

	test("what a run changes comes back, and nothing else", async () => {
		const scratch = join(folder, "scratch");
		packScratch(scratch);
		const disks = [
			{ serial: "vouch-work", path: work, access: "read-only" as const },
			{ serial: "vouch-scratch", path: scratch, access: "read-write" as const },
		];
		await using machine = await Machine.start(image, { disks });
		const run: Run = {
			arguments: ["sh", "-c", SCRIPT],
			mounts: [workspace("serial:vouch-scratch", "protected", ".hooks", "absent", "linked")],
		};
		const { exit, output, errors } = await finish(machine, run);
		assert.equal(exit.code, 0, errors);
		assert.match(output, /^drwxr-xr-x .* 1000 +1000 .* kept\n1000\n$/m);
		assert.match(errors, /protected\/settings: Read-only file system/);
		const changes = await collect(machine.peer);
		assert.equal(changes.at(-1)?.kind, "E");
		assert.deepEqual(lines(changes.slice(0, -1).filter(({ path }) => path !== "made/hole")), [
			"D kept 755",
			"D made 755",
			"D made/below 755",
			"F a\nb 644 rest",
			"F emptied/inside 644 new",
			"F kept/file 644 changed",
			"F made/below/file 644 deep",
			"F mode 700 mode",
			"F moved-away 644 moved",
			"L made/link 777 ../elsewhere",
			"O emptied 755",
			"S made/pipe 644",
			"X gone 0",
			"X moved 0",
		]);
		assert.equal(changes.find(({ path }) => path === "made/hole")?.body.length, 3 << 20);
		const seen = new Set([""]);
		for (const { kind, path } of changes.slice(0, -1)) {
			assert.ok(seen.has(path.replace(/\/?[^/]*$/, "")), `${path} came before its folder`);
			if (kind === "D" || kind === "O") seen.add(path);
		}
	});

	test("a read-only workspace has no changes", async () => {
		const disks = [{ serial: "vouch-work", path: work, access: "read-only" as const }];
		await using other = await Machine.start(image, { disks });
		const readOnly = record("w", u8(0), "/workspace", "serial:vouch-work", "erofs", "");
		const script = "cat /workspace/gone; rm /workspace/gone 2>&1";
		const { output } = await finish(other, { arguments: ["sh", "-c", script], mounts: [readOnly] });
		assert.match(output, /^gone\n.*Read-only file system\n$/);
		assert.deepEqual(lines(await collect(other.peer)), ["E  0"]);
	});

	test("an exposed file is bound where it belongs, read-only, and a link leads nowhere out", async () => {
		const disks = [{ serial: "vouch-files", path: work, access: "read-only" as const }];
		await using machine = await Machine.start(image, { disks });
		const run: Run = {
			arguments: ["sh", "-c", "cat /opt/one; echo x > /opt/one; cat /link/file /tmp/a/b/folder/file /tmp/one"],
			skeleton: [
				record("d", u32(0o755), "/mnt/files"),
				record("f", u32(0o644), "/opt/one", Buffer.alloc(0)),
				record("d", u32(0o755), "/opt/folder"),
				record("l", "/link", "/../../opt/folder"),
			],
			mounts: [
				record("k", "/mnt/files", "serial:vouch-files", "erofs"),
				record("b", "/opt/one", "/mnt/files/gone"),
				record("b", "/link", "/mnt/files/kept"),
				// The tmpfs hides whatever mount point the skeleton has there.
				record("b", "/tmp/a/b/folder", "/mnt/files/kept"),
				record("b", "/tmp/one", "/mnt/files/moved"),
			],
		};
		const { output, errors } = await finish(machine, run);
		assert.equal(output, "gone\nkept/file\nkept/file\nmoved\n");
		assert.match(errors, /Read-only file system/);
	});
});
