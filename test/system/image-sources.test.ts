import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { registryMissing, startRegistry } from "../registry/real-registry.ts";
import { buildersMissing, busyboxMissing, ImageDoor, makeBusyboxRoot } from "./image-door.ts";

/** One root file system by every road that a source can come: the disk is the same, block for block. */
const door = new ImageDoor();
after(() => door.close());
const at = (name: string): string => join(door.workspace, name);
const missing = busyboxMissing() || buildersMissing("buildah", "skopeo");

function run(program: string, ...words: readonly string[]): void {
	const ended = spawnSync(program, words, { cwd: door.workspace, encoding: "utf8" });
	assert.equal(ended.status, 0, `${program} ${words.join(" ")}: ${ended.stderr}`);
}

async function rootHashOf(...words: readonly string[]): Promise<string> {
	const digest = await door.build(...words);
	const { stdout } = await door.said(0, ["image", "inspect", digest, "--json"]);
	return JSON.parse(stdout).manifest.verity.rootHash;
}

/** The folder `root` with one file more, and all that can be made of it. */
function prepare(word: string): void {
	run("rm", "-rf", "root", "layout", "archive.tar", "docker.tar");
	makeBusyboxRoot(at("root"));
	writeFileSync(at("root/etc/word"), `${word}\n`);
	const owned = ["--owner=0", "--group=0", "--mtime=@0", "--sort=name", "--format=gnu"];
	run("tar", "-C", "root", ...owned, "-cf", "root.tar", ".");
	const storage = ["--root", at("storage"), "--runroot", at("storage-run"), "--storage-driver", "vfs"];
	writeFileSync(at("Containerfile"), "FROM scratch\nADD root.tar /\n");
	run("buildah", ...storage, "build", "--timestamp", "0", "-q", "-f", "Containerfile", "-t", "made", ".");
	run("buildah", ...storage, "push", "-q", "made", "oci:layout:1");
	run("skopeo", "--insecure-policy", "copy", "-q", "oci:layout:1", "oci-archive:archive.tar:1");
	run("skopeo", "--insecure-policy", "copy", "-q", "oci:layout:1", "docker-archive:docker.tar:team/app:1");
}

test("a folder, its tar, and the layout and archives that hold it give the same disk", { skip: missing }, async () => {
	prepare("one");
	const expected = await rootHashOf("root");
	for (const source of ["root.tar", "oci:layout:1", "archive.tar", "docker.tar"]) {
		assert.equal(await rootHashOf(source, "--name", "by-another-road"), expected, source);
	}
	assert.match(await door.vouch(0, "image", "build", "docker.tar"), /nothing had changed/);
	prepare("two");
	for (const source of ["layout", "docker.tar"]) {
		assert.notEqual(await rootHashOf(source, "--name", "changed"), expected, `${source} was changed`);
	}
});

test("a registry's image is fetched by digest and pinned until --update", {
	skip: missing || registryMissing(),
}, async () => {
	const registry = await startRegistry(at("registry"));
	const reference = `127.0.0.1:${registry.port}/team/app:1`;
	const push = () =>
		run(
			"skopeo",
			"--insecure-policy",
			"copy",
			"-q",
			"--dest-tls-verify=false",
			"oci:layout:1",
			`docker://${reference}`,
		);
	const build = ["image", "build", reference, "--name", "fetched"];
	try {
		prepare("one");
		const expected = await rootHashOf("root");
		push();
		assert.equal(await rootHashOf(reference, "--name", "fetched"), expected);
		prepare("two");
		push();
		assert.match(await door.vouch(0, ...build), /nothing had changed/);
		assert.notEqual(await rootHashOf(reference, "--name", "fetched", "--update"), expected);
	} finally {
		await registry.stop();
	}
	// What is in the cache needs no registry.
	assert.match(await door.vouch(0, "image", "rebuild", "fetched"), /^identical/);
	const gone = await door.said(125, ["image", "build", reference.replace("/app:", "/other:")]);
	assert.match(gone.stderr, /image-not-fetched/);
});

test("contexts of every kind are what FROM and COPY --from find, and a changed one is built again", {
	skip: missing,
}, async () => {
	prepare("one");
	mkdirSync(at("app/words"), { recursive: true });
	writeFileSync(at("app/words/first"), "1\n");
	const copies = ["tar", "layout", "archive", "docker"].map((from) => `COPY --from=${from} /etc/word /words/${from}`);
	writeFileSync(
		at("app/Dockerfile"),
		["FROM layout", ...copies, "COPY --from=folder first /words/", "RUN cat /words/* >/all"].join("\n"),
	);
	const contexts = {
		folder: "words",
		tar: "../root.tar",
		layout: "oci:../layout:1",
		archive: "../archive.tar",
		docker: "../docker.tar",
	};
	writeFileSync(at("app/vouch-image.yaml"), JSON.stringify({ dockerfile: { contexts } }));
	const first = await door.build("app");
	assert.match(await door.vouch(0, "image", "build", "app"), /nothing had changed/);
	const provenance = JSON.parse(await door.vouch(0, "image", "inspect", "app", "--part", "provenance"));
	const { plan } = provenance.predicate.buildDefinition.internalParameters;
	assert.match(`${plan.source.builder.name} ${plan.source.builder.version}`, /^buildah \d+\.\d+/);
	assert.deepEqual(Object.keys(plan.source.contexts).sort(), Object.keys(contexts).sort());
	writeFileSync(at("app/words/first"), "2\n");
	const second = await door.build("app");
	prepare("two");
	const third = await door.build("app");
	assert.equal(new Set([first, second, third]).size, 3);
});
