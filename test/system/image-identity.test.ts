import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { buildersMissing, busyboxMissing, ImageDoor, makeBusyboxRoot } from "./image-door.ts";
import { buildTwice, Stranger } from "./stranger.ts";

/** One recipe, two folders, users, umasks, clocks, time zones and locales: one image.json. */
const door = new ImageDoor();
const stranger = new Stranger();
after(async () => {
	await door.close();
	stranger.close();
});

test("the stranger's clock is another one", () => {
	const now = stranger.run([process.execPath, "-e", "console.log(Date.now())"]);
	assert.ok(Number(now) > Date.now() + 40_000_000_000, now);
});

test("a folder gives the same image.json to somebody else, somewhere else, at another time", async (t) => {
	if (stranger.sameUser !== undefined) t.diagnostic(`by the same user: ${stranger.sameUser}`);
	const project = join(door.workspace, "rootfs-project");
	for (const name of ["etc", "bin", "İstanbul", "empty"]) mkdirSync(join(project, "root", name), { recursive: true });
	writeFileSync(join(project, "root/etc/i"), "i\n");
	writeFileSync(join(project, "root/etc/I"), "I\n");
	writeFileSync(join(project, "root/bin/tool"), Buffer.alloc(3_000_000, "tool"));
	chmodSync(join(project, "root/bin/tool"), 0o755);
	writeFileSync(join(project, "vouch-image.yaml"), "name: same-folder\nsource: root\n");
	const { mine, theirs } = await buildTwice(door, stranger, "rootfs-project");
	assert.equal(theirs, mine);
});

test("so does a Dockerfile, with its RUN lines and contexts", {
	skip: buildersMissing("buildah") || busyboxMissing(),
}, async () => {
	const project = join(door.workspace, "dockerfile-project");
	const root = makeBusyboxRoot(join(door.workspace, "base"));
	mkdirSync(join(project, "data"), { recursive: true });
	const tar = spawnSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", join(project, "base.tar"), "."]);
	assert.equal(tar.status, 0, `${tar.stderr}`);
	writeFileSync(join(project, "data/words"), "one two\n");
	chmodSync(join(project, "data/words"), 0o640);
	writeFileSync(
		join(project, "Dockerfile"),
		[
			"FROM base",
			"COPY --from=data words /words",
			"COPY Dockerfile /etc/",
			"RUN mkdir /made && cat /words >/made/words && echo three >>/words",
			'ENTRYPOINT ["/bin/cat", "/words"]',
		].join("\n"),
	);
	const contexts = "{ base: base.tar, data: data }";
	writeFileSync(
		join(project, "vouch-image.yaml"),
		`name: same-dockerfile\nsource: .\ndockerfile: { contexts: ${contexts} }\n`,
	);
	const { mine, theirs } = await buildTwice(door, stranger, "dockerfile-project");
	assert.equal(theirs, mine);
});
