import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { fileURLToPath } from "node:url";
import { canonicalJson, digestOf } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import { recipeFor } from "../recipe/index.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { RootfsFormat } from "../schema.ts";
import { openImageStore } from "../store/index.ts";
import { verifyImage } from "../verify/index.ts";
import { type BuildOptions, buildImage } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-build-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const host = realHost();
/** Kernels stay from one run of the tests to the next, and so does which one is pinned. */
const cacheDirectory = fileURLToPath(new URL("../../../build/test-cache/build/", import.meta.url));
mkdirSync(cacheDirectory, { recursive: true });
const lockFile = join(cacheDirectory, "vouch-image.lock");

let stores = 0;
function freshStore() {
	stores += 1;
	return openImageStore(join(folder, `store-${stores}`));
}

function rootAt(path: string): string {
	mkdirSync(join(path, "etc"), { recursive: true });
	mkdirSync(join(path, "bin"));
	writeFileSync(join(path, "etc/hostname"), "vouch\n");
	writeFileSync(join(path, "bin/tool"), Buffer.alloc(3_000_000, "tool"), { mode: 0o755 });
	chmodSync(join(path, "bin/tool"), 0o755);
	symlinkSync("tool", join(path, "bin/link"));
	return path;
}

async function recipeOf(source: string, rootfs: RootfsFormat = "erofs"): Promise<Recipe> {
	const recipe = await recipeFor({ source, rootfs, platform: "linux/amd64" }, { host });
	return { ...recipe, name: "tested", lockFile };
}

const options = (given: Pick<BuildOptions, "store"> & Partial<BuildOptions>): BuildOptions => ({
	cacheDirectory,
	host,
	...(existsSync(lockFile) ? {} : { lock: "write" }),
	...given,
});

/** What a build may not leave behind when it did not end well. */
function litter(directory: string): readonly string[] {
	const work = readdirSync(join(cacheDirectory, "image", "work"));
	const store = existsSync(directory) ? readdirSync(directory).filter((name) => name.startsWith("tmp-")) : [];
	return [...work, ...store];
}

test("the same root gives the same image.json in any folder, umask, time zone and at any time", async () => {
	const recipe = await recipeOf(rootAt(join(folder, "here")));
	const first = await buildImage(recipe, options({ store: freshStore() }));
	assert.equal(first.cached, false);
	const before = { umask: process.umask(0o077), zone: process.env.TZ };
	process.env.TZ = "Asia/Kathmandu";
	try {
		const elsewhere = rootAt(join(folder, "else/where"));
		utimesSync(join(elsewhere, "bin/tool"), 1, 1_000_000_000);
		const store = freshStore();
		const second = await buildImage(await recipeOf(elsewhere), options({ store }));
		assert.equal(second.cached, false);
		assert.equal(second.digest, first.digest);
		assert.equal(digestOf(canonicalJson(second.manifest)), first.digest);
		const { claims, verdict } = await verifyImage(store, second.digest);
		assert.equal(verdict, "verified", JSON.stringify(claims));
	} finally {
		process.umask(before.umask);
		if (before.zone === undefined) delete process.env.TZ;
		else process.env.TZ = before.zone;
	}
});

test("with nothing changed nothing is done; any change is built; the name follows", async () => {
	const root = rootAt(join(folder, "changing"));
	const store = freshStore();
	const steps: string[] = [];
	const build = () => buildImage(recipe, options({ store, progress: ({ step }) => steps.push(step) }));
	const recipe = await recipeOf(root, "squashfs-uncompressed");
	const first = await build();
	steps.length = 0;
	const again = await build();
	assert.deepEqual([again.cached, again.digest, again.name], [true, first.digest, "tested"]);
	assert.deepEqual(new Set(steps), new Set(["inputs"]));
	writeFileSync(join(root, "etc/hostname"), "hcuov\n");
	const changed = await build();
	assert.equal(changed.cached, false);
	assert.notEqual(changed.digest, first.digest);
	assert.equal((await store.resolve("tested"))?.digest, changed.digest);
	writeFileSync(join(root, "etc/hostname"), "vouch\n");
	assert.deepEqual([(await build()).digest, (await build()).cached], [first.digest, true]);
	await store.remove(first.digest);
	assert.deepEqual([(await build()).digest, steps.includes("pack")], [first.digest, true]);
});

test("an interrupted build leaves nothing, wherever it was", async () => {
	const recipe = await recipeOf(rootAt(join(folder, "interrupted")), "squashfs");
	for (const step of ["inputs", "boot", "source", "pack", "verity", "store"]) {
		const store = freshStore();
		const controller = new AbortController();
		const reason = new Error(`enough at ${step}`);
		const progress: BuildOptions["progress"] = (event) => {
			if (event.step === step) controller.abort(reason);
		};
		const building = buildImage(recipe, options({ store, progress, signal: controller.signal }));
		if (step === "source") await Promise.allSettled([building]);
		else await assert.rejects(building, reason);
		assert.deepEqual(litter(store.directory), [], step);
		if (controller.signal.aborted) assert.deepEqual(await store.list(), [], step);
	}
});

test("what a killed build left is swept by the next", async () => {
	const root = rootAt(join(folder, "killed"));
	writeFileSync(join(root, "large"), Buffer.alloc(30_000_000, "x"));
	const store = freshStore();
	const child = building(root, store.directory);
	let said = "";
	for await (const text of child.stdout ?? []) {
		said += text;
		if (said.includes("pack")) child.kill("SIGKILL");
	}
	if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
	assert.equal(child.signalCode, "SIGKILL", said);
	assert.notDeepEqual(litter(store.directory), []);
	const built = await buildImage(await recipeOf(root), options({ store }));
	assert.equal(built.cached, false);
	assert.deepEqual(litter(store.directory), []);
	assert.equal(readFileSync(join(store.directory, "names/tested@linux-amd64"), "utf8"), `${built.digest}\n`);
});

/** The same build in another process, which prints each step. */
function building(source: string, store: string): ChildProcess {
	const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
	const program = `(async () => {
		const { buildImage } = await import(${url("./index.ts")});
		const { recipeFor } = await import(${url("../recipe/index.ts")});
		const { openImageStore } = await import(${url("../store/index.ts")});
		const { realHost } = await import(${url("../../host/index.ts")});
		const host = realHost();
		const recipe = await recipeFor({ source: ${JSON.stringify(source)}, platform: "linux/amd64" }, { host });
		await buildImage({ ...recipe, lockFile: ${JSON.stringify(lockFile)} }, {
			store: openImageStore(${JSON.stringify(store)}),
			cacheDirectory: ${JSON.stringify(cacheDirectory)},
			host,
			progress: ({ step }) => console.log(step),
		});
	})()`;
	return spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
}
