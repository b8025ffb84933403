import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { guestImage, missingFor } from "../../../test/guest/guest-image.ts";
import { finish, Machine } from "../../../test/guest/machine.ts";
import { STREAM, TYPE } from "../../../test/guest/peer.ts";
import { record, u8 } from "../../../test/guest/records.ts";
import { realHost } from "../../host/index.ts";
import { applyChanges } from "./changes.ts";
import { inPieces, listing } from "./changes-fixture.ts";
import { buildDisk } from "./disk.ts";
import { scratchDisk } from "./scratch-disk.ts";

const SCRIPT = `cd /workspace
[ "$(stat -c %u:%a:%Y kept/file)" = 1000:640:1000000000 ] || echo "kept/file is not as it was"
[ "$(cat kept/other-name)" = together ] || echo "another name has other contents"
echo changed > kept/file
rm -r emptied && mkdir emptied && echo new > emptied/inside
mkdir -p made/below && echo deep > made/below/file && chmod 755 made/below/file
ln -s /etc/passwd made/link; mkfifo made/pipe
rm file-then-folder && mkdir file-then-folder && echo x > file-then-folder/x
rm -r folder-then-link && ln -s kept folder-then-link
mv moved moved-away; truncate -s 5M made/hole; chmod 4755 tool
echo planted > vouch.policy.yaml; rm -f vouch.policy.yaml
printf x > "$(printf 'odd\\377name')"
exit 0`;

test("a workspace goes into a real guest on its disk, and what the guest changed is back in it", {
	skip: missingFor("amd64") ?? false,
}, async () => {
	const home = mkdtempSync(join(tmpdir(), "vouch-guest-workspace-"));
	try {
		const workspace = join(home, "workspace");
		for (const name of ["kept", "emptied", "folder-then-link", "untouched"])
			mkdirSync(join(workspace, name), { recursive: true });
		for (const name of ["emptied/old", "folder-then-link/x", "file-then-folder", "moved", "tool", "untouched/file"])
			writeFileSync(join(workspace, name), `${name}\n`);
		writeFileSync(join(workspace, "kept/file"), "kept\n", { mode: 0o640 });
		utimesSync(join(workspace, "kept/file"), 1e9, 1e9);
		writeFileSync(join(workspace, "kept/together"), "together");
		linkSync(join(workspace, "kept/together"), join(workspace, "kept/other-name"));
		symlinkSync("/etc/shadow", join(workspace, "untouched/link"));
		writeFileSync(join(workspace, "vouch.policy.yaml"), "the host's\n");
		chmodSync(join(workspace, "tool"), 0o755);

		const [work, scratch] = [join(home, "work"), join(home, "scratch")];
		const { baseline, problems } = await buildDisk({
			path: work,
			parts: [{ source: workspace, at: "/" }],
			owner: { userId: 1000, groupId: 1000 },
			virtualSizeBytes: 2 ** 30,
		});
		assert.deepEqual(problems, []);
		await scratchDisk({ path: scratch, sizeBytes: 256 * 2 ** 20, place: "new", host: realHost() });
		await using machine = await Machine.start(guestImage("amd64"), {
			disks: [
				{ serial: "vouch-work", path: work, access: "read-only" },
				{ serial: "vouch-scratch", path: scratch, access: "read-write" },
			],
		});
		const { exit, output } = await finish(machine, {
			arguments: ["sh", "-c", SCRIPT],
			mounts: [
				record("w", u8(1), "/workspace", "serial:vouch-work", "erofs", "serial:vouch-scratch", "vouch.policy.yaml"),
			],
		});
		assert.deepEqual([exit.code, output], [0, ""]);
		machine.peer.send(TYPE.collect, 0);
		await machine.peer.until(() => machine.peer.ended.has(STREAM.changes), "the end of the changes");
		const done = await applyChanges(inPieces(machine.peer.bytes(STREAM.changes)), {
			folder: workspace,
			protected: ["vouch.policy.yaml"],
			baseline,
			keepDirectory: home,
		});
		assert.deepEqual([done.refused, done.skipped], [[], ["made/pipe"]]);
		const folderMode = (0o777 & ~process.umask()).toString(8);
		assert.deepEqual(
			listing(workspace).filter((line) => !line.startsWith("made/hole ")),
			[
				"emptied folder 755",
				"emptied/inside file 644 new\n",
				"file-then-folder folder 755",
				"file-then-folder/x file 644 x\n",
				"folder-then-link -> kept",
				`kept folder ${folderMode}`,
				"kept/file file 640 changed\n",
				"kept/other-name file 644 together",
				"kept/together file 644 together",
				"made folder 755",
				"made/below folder 755",
				"made/below/file file 755 deep\n",
				"made/link -> /etc/passwd",
				"moved-away file 644 moved\n",
				"odd\xffname file 644 x",
				"tool file 755 tool\n",
				`untouched folder ${folderMode}`,
				"untouched/file file 644 untouched/file\n",
				"untouched/link -> /etc/shadow",
				"vouch.policy.yaml file 644 the host's\n",
			],
		);
	} finally {
		rmSync(home, { recursive: true });
	}
});
