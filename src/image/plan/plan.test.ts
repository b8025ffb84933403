import assert from "node:assert/strict";
import {
	chmodSync,
	cpSync,
	linkSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { digestOf } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import { recipeFor } from "../recipe/index.ts";
import { contextFolder, digestOfPlan, openPinBook, PinBook, planRecipe } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-plan-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const host = realHost();
const cacheDirectory = join(folder, "cache");
const kernel = {
	package: "linux-image-6.1-cloud-amd64",
	version: "6.1",
	architecture: "amd64",
	suite: "bookworm",
	archive: "debian",
	path: "pool/main/l/linux/linux.deb",
	debDigest: digestOf("kernel"),
	sizeBytes: 1,
} as const;

async function planDigest(source: string): Promise<string> {
	const recipe = await recipeFor({ source, workingDirectory: folder, platform: "linux/amd64" }, { host });
	const book = new PinBook({ "kernel linux/amd64 default": { kind: "kernel", kernel } });
	const onLookUp = (what: string) => assert.fail(`looked up ${what}`);
	return digestOfPlan(await planRecipe(recipe, { host, cacheDirectory, book, onLookUp }));
}

function made(name: string): string {
	const path = join(folder, name);
	mkdirSync(join(path, "etc"), { recursive: true });
	writeFileSync(join(path, "etc/a"), "one");
	writeFileSync(join(path, "etc/b"), "two");
	writeFileSync(join(path, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
	symlinkSync("etc/a", join(path, "link"));
	return path;
}

test("a plan says nothing of folders, users, umasks and times", async () => {
	const first = await planDigest(made("first"));
	const umask = process.umask(0o077);
	try {
		const second = made("second");
		utimesSync(join(second, "etc/a"), 1, 1);
		assert.equal(await planDigest(second), first);
		chmodSync(join(second, "etc/b"), 0o600);
		chmodSync(join(second, "etc"), 0o700);
		assert.equal(await planDigest(second), first);
	} finally {
		process.umask(umask);
	}
});

test("no change of a root file system is missed, also one that size and time don't show", async () => {
	const root = made("changing");
	const at = (name: string) => join(root, name);
	const times = statSync(at("etc/a"));
	const changes: Readonly<Record<string, () => void>> = {
		"contents of the same size, with its old time": () => {
			writeFileSync(at("etc/a"), "eno");
			utimesSync(at("etc/a"), times.atime, times.mtime);
		},
		"may be run": () => chmodSync(at("etc/b"), 0o755),
		renamed: () => renameSync(at("etc/b"), at("etc/c")),
		"a link that leads elsewhere": () => {
			rmSync(at("link"));
			symlinkSync("etc/c", at("link"));
		},
		"an empty folder": () => mkdirSync(at("empty")),
		"two names for one file": () => {
			cpSync(at("etc/a"), at("etc/d"));
		},
		"which are now really one": () => {
			rmSync(at("etc/d"));
			linkSync(at("etc/a"), at("etc/d"));
		},
		"a name that a terminal would obey": () => writeFileSync(at("etc/\u001b[2J"), "x"),
		gone: () => rmSync(at("run.sh")),
	};
	const seen = new Set([await planDigest(root)]);
	for (const [what, change] of Object.entries(changes)) {
		change();
		const now = await planDigest(root);
		assert.ok(!seen.has(now), what);
		assert.equal(await planDigest(root), now, `${what}: twice the same`);
		seen.add(now);
	}
});

test("a tar whose bytes change in place is another input", async () => {
	const path = join(folder, "r.tar");
	writeFileSync(path, Buffer.concat([readFileSync("/dev/null"), Buffer.alloc(10_240)]));
	const before = (await planDigestOfTar(path)).toString();
	const { atime, mtime } = statSync(path);
	writeFileSync(path, Buffer.alloc(10_240, 1));
	utimesSync(path, atime, mtime);
	assert.notEqual(await planDigestOfTar(path), before);
});

async function planDigestOfTar(path: string): Promise<string> {
	const { rememberedDigest } = await import("./file-digest.ts");
	return rememberedDigest(path, { cacheDirectory });
}

test("a build context leaves out what .dockerignore says, and the lock", async () => {
	const context = join(folder, "context");
	mkdirSync(join(context, "node_modules/x"), { recursive: true });
	for (const name of ["app.js", "app.log", "keep.log", "Dockerfile", "node_modules/x/index.js"]) {
		writeFileSync(join(context, name), name);
	}
	writeFileSync(join(context, ".dockerignore"), "# comment\n*.log\n!keep.log\n**/node_modules/\n");
	const { entries, digest } = await contextFolder(context, "Dockerfile", { cacheDirectory });
	const paths = entries.map(({ path }) => path);
	assert.ok(paths.includes("app.js") && paths.includes("keep.log") && paths.includes("Dockerfile"), paths.join());
	assert.ok(!paths.includes("app.log") && !paths.some((path) => path.startsWith("node_modules/x")), paths.join());
	writeFileSync(join(context, "vouch-image.lock"), "{}");
	writeFileSync(join(context, "app.log"), "changed");
	assert.equal((await contextFolder(context, "Dockerfile", { cacheDirectory })).digest, digest);
	writeFileSync(join(context, "keep.log"), "changed");
	assert.notEqual((await contextFolder(context, "Dockerfile", { cacheDirectory })).digest, digest);
});

test("an update looks up again what it needs and leaves the pins of other platforms", async () => {
	const app = join(folder, "two-platforms");
	mkdirSync(app);
	writeFileSync(join(app, "Dockerfile"), "FROM scratch\n");
	const recipe = await recipeFor({ source: app, platform: "linux/amd64" }, { host });
	const pin = { kind: "kernel", kernel } as const;
	const pins = { "kernel linux/amd64 default": pin, "kernel linux/riscv64 default": pin };
	writeFileSync(join(app, "vouch-image.lock"), JSON.stringify({ schema: "vouch.image-lock/v1", pins }));
	const book = await openPinBook(recipe, cacheDirectory, "update");
	const newer = { kind: "kernel", kernel: { ...kernel, version: "6.2" } } as const;
	assert.equal(await book.pin("kernel", "linux/amd64 default", async () => newer), newer);
	assert.deepEqual(book.all(), { ...pins, "kernel linux/amd64 default": newer });
});

test("a lock that can't be read is refused, not passed over", async () => {
	const app = join(folder, "locked");
	mkdirSync(app);
	writeFileSync(join(app, "Dockerfile"), "FROM scratch\n");
	const recipe = await recipeFor({ source: app, platform: "linux/amd64" }, { host });
	for (const text of ["", "{}", '{"schema":"vouch.image-lock/v1","pins":{"x":{"kind":"kernel"}}}', '{"a":1,"a":2}']) {
		writeFileSync(join(app, "vouch-image.lock"), text);
		await assert.rejects(openPinBook(recipe, cacheDirectory, "remembered"), { code: "image-lock-invalid" }, text);
	}
});
