import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { buildersMissing, busyboxMissing, ImageDoor, makeBusyboxRoot, programMissing } from "./image-door.ts";

const door = new ImageDoor();
after(() => door.close());

test("a Dockerfile becomes an image that runs in a virtual machine, and comes out identical again", {
	skip: busyboxMissing() || buildersMissing("buildah") || programMissing("qemu-system-x86_64"),
}, async () => {
	const project = join(door.workspace, "greeter");
	mkdirSync(project);
	const root = makeBusyboxRoot(join(door.workspace, "base"));
	const tar = spawnSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", join(project, "base.tar"), "."]);
	assert.equal(tar.status, 0, `${tar.stderr}`);
	writeFileSync(join(project, "greet"), `#!/bin/sh\necho "hello, $1, from $(cat /made)"\n`);
	writeFileSync(
		join(project, "Dockerfile"),
		["FROM base", "COPY --chmod=755 greet /bin/greet", "RUN echo a build >/made", 'ENTRYPOINT ["/bin/greet"]'].join(
			"\n",
		),
	);
	writeFileSync(join(project, "vouch-image.yaml"), "dockerfile: { contexts: { base: base.tar } }\n");
	const built = await door.vouch(0, "image", "build", "greeter");
	assert.match(built, /run it +vouch run --image greeter --isolation vm -- \/bin\/greet/);
	const run = ["run", "--image", "greeter", "--isolation", "vm", "--timeout", "2m"];
	assert.equal(await door.vouch(0, ...run, "--", "/bin/greet", "you"), "hello, you, from a build\n");
	assert.match(await door.vouch(0, "image", "rebuild", "greeter"), /^identical/);
});
