import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, afterEach, before } from "node:test";
import { type HostileProxy, hostileProxy, type Mischief, type Passing } from "../../../test/registry/hostile-proxy.ts";
import { type RealRegistry, registryMissing, startRegistry } from "../../../test/registry/real-registry.ts";
import { VouchError } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import { addSampleImage } from "../export/sample-image.ts";
import { type ImageStore, openImageStore, type StoredImage } from "../store/index.ts";
import type { Patience } from "./limits.ts";
import { pullImage } from "./pull.ts";
import { pushImages } from "./push.ts";

const skip = registryMissing();
const directory = mkdtempSync(join(tmpdir(), "vouch-registry-"));
const QUICK: Patience = { stallMs: 400, slowestBytesPerSecond: 20_000, tries: 6, pauseMs: 5, longestPauseMs: 40 };

let registry: RealRegistry;
let proxy: HostileProxy;
let store: ImageStore;
let image: StoredImage;
let stores = 0;

before(async () => {
	if (skip !== false) return;
	registry = await startRegistry(join(directory, "registry"));
	proxy = await hostileProxy(registry.port);
	store = openImageStore(join(directory, "store"));
	// More than one piece of 16 MiB.
	image = await addSampleImage(store, { dataBytes: 20 * 2 ** 20 });
});
afterEach(() => {
	if (skip === false) proxy.mischief = () => undefined;
});
after(async () => {
	if (skip === false) {
		await proxy.close();
		await registry.stop();
	}
	rmSync(directory, { recursive: true, force: true });
});

const common = () => ({ authFiles: [], host: realHost(), patience: QUICK });
const freshStore = (): ImageStore => {
	stores += 1;
	return openImageStore(join(directory, `store-${stores}`));
};
const cacheDirectory = join(directory, "cache");

function push(to: string, port = registry.port, from = [image] as const) {
	return pushImages(from, `127.0.0.1:${port}/${to}`, { ...common(), store });
}

function pull(from: string, into: ImageStore, port = registry.port) {
	return pullImage(`127.0.0.1:${port}/${from}`, { ...common(), store: into, cacheDirectory });
}

/** The code that a piece of work fails with. */
async function failureOf(work: Promise<unknown>): Promise<VouchError> {
	const outcome = await work.then(
		(value) => assert.fail(`it worked: ${JSON.stringify(value)}`),
		(error: unknown) => error,
	);
	if (!(outcome instanceof VouchError)) throw outcome;
	return outcome;
}

/** Nothing of an image is in a store, and no piece of work is left in it. */
async function assertEmpty(into: ImageStore): Promise<void> {
	assert.deepEqual(await into.list(), []);
	const left = existsSync(into.directory) ? readdirSync(into.directory) : [];
	assert.deepEqual(
		left.filter((name) => name.startsWith("tmp-")),
		[],
	);
}

function everyBlob(kind: (passing: Passing) => Mischief | undefined) {
	return (passing: Passing) =>
		passing.method === "GET" && /\/blobs\/sha256:/.test(passing.path) ? kind(passing) : undefined;
}

test("what is pushed is what is pulled, and is not sent or fetched twice", { skip }, async () => {
	const seen: [number, number][] = [];
	const pushed = await pushImages([image], `127.0.0.1:${registry.port}/team/app:1`, {
		...common(),
		store,
		progress: (done, total) => seen.push([done, total]),
	});
	const total = Object.values(image.manifest.parts).reduce((sum, { size }) => sum + size, 0);
	assert.deepEqual(seen.at(-1), [total, total]);
	assert.equal(pushed.skippedBytes, 0);
	const again = await push("team/app:1");
	assert.deepEqual([again.sentBytes, again.artifactDigest], [0, pushed.artifactDigest]);

	const other = freshStore();
	const pulled = await pull("team/app:1", other);
	assert.equal(pulled.digest, image.digest);
	assert.deepEqual(await other.verify(image.digest), []);
	assert.equal(pulled.fetchedBytes, pushed.sentBytes - (await other.manifestBytes(image.digest)).length);
	assert.equal((await pull("team/app:1", other)).fetchedBytes, 0);
	assert.equal((await pull(`team/app@${pushed.artifactDigest}`, freshStore())).digest, image.digest);
	assert.deepEqual(readdirSync(join(cacheDirectory, "pulls")), []);
});

test("skopeo reads the artifact and copies it", { skip }, async (context) => {
	await push("team/skopeo:1");
	const source = `docker://127.0.0.1:${registry.port}/team/skopeo:1`;
	const skopeo = (...args: string[]) => spawnSync("skopeo", args, { encoding: "utf8" });
	if (skopeo("--version").status !== 0) return context.skip("skopeo is not installed: apt-get install skopeo");
	const raw = skopeo("inspect", "--tls-verify=false", "--raw", source);
	assert.equal(raw.status, 0, raw.stderr);
	assert.equal(JSON.parse(raw.stdout).artifactType, "application/vnd.vouch.image.v1");
	const layout = join(directory, "copied");
	const copied = skopeo("copy", "--src-tls-verify=false", source, `oci:${layout}:app`);
	assert.equal(copied.status, 0, copied.stderr);
	const back = skopeo("copy", "--dest-tls-verify=false", `oci:${layout}:app`, source.replace(":1", ":2"));
	assert.equal(back.status, 0, back.stderr);
	assert.equal((await pull("team/skopeo:2", freshStore())).digest, image.digest);
});

test("several platforms under one reference: each gets its own", { skip }, async () => {
	const riscv = await addSampleImage(store, { seed: 7, platform: "linux/riscv64" });
	await pushImages([image, riscv], `127.0.0.1:${registry.port}/team/both:1`, { ...common(), store });
	const reference = `127.0.0.1:${registry.port}/team/both:1`;
	for (const wanted of [image, riscv]) {
		const { platform } = wanted.manifest;
		const pulled = await pullImage(reference, { ...common(), store: freshStore(), cacheDirectory, platform });
		assert.equal(pulled.digest, wanted.digest);
	}
	const missing = { ...common(), store: freshStore(), cacheDirectory, platform: "linux/arm64" } as const;
	const failure = await failureOf(pullImage(reference, missing));
	assert.equal(failure.code, "registry-platform-missing");
	assert.match(failure.message, /linux\/amd64, linux\/riscv64/);
});

test("connections cut at random points: push and pull get through, and go on where they were", { skip }, async () => {
	// A fixed sequence, so that a failure can be looked at again.
	let state = 42;
	const random = (below: number): number => {
		state = (state * 1103515245 + 12345) % 2 ** 31;
		return state % below;
	};
	// The first two downloads of each blob and the first four chunks are cut somewhere, if they are long enough.
	const met = new Map<string, number>();
	proxy.mischief = ({ method, path }) => {
		const key = method === "PATCH" ? method : `${method} ${path}`;
		met.set(key, (met.get(key) ?? 0) + 1);
		if ((met.get(key) ?? 0) > (method === "PATCH" ? 4 : 2)) return undefined;
		return { kind: method === "PATCH" ? "cut-request" : "cut-response", afterBytes: random(4 * 2 ** 20) };
	};
	await push("team/cut:1", proxy.port);
	const other = freshStore();
	const from = proxy.seen.length;
	assert.equal((await pull("team/cut:1", other, proxy.port)).digest, image.digest);
	assert.deepEqual(await other.verify(image.digest), []);
	const ranges = proxy.seen.slice(from).filter(({ headers }) => headers.range !== undefined);
	assert.ok(ranges.length > 0, "no download went on in the middle");
});

test("an interrupted pull is continued by the next one", { skip }, async () => {
	await push("team/resume:1");
	const other = freshStore();
	const controller = new AbortController();
	const cancelled = pullImage(`127.0.0.1:${registry.port}/team/resume:1`, {
		...common(),
		store: other,
		cacheDirectory,
		signal: controller.signal,
		progress: (done) => done > 6 * 2 ** 20 && controller.abort(new Error("enough")),
	});
	await assert.rejects(cancelled, /enough/);
	await assertEmpty(other);
	const kept = readdirSync(join(cacheDirectory, "pulls"), { recursive: true, encoding: "utf8" });
	assert.ok(
		kept.some((name) => name.endsWith(".partial")),
		kept.join(" "),
	);
	const from = proxy.seen.length;
	await pull("team/resume:1", other, proxy.port);
	const ranges = proxy.seen.slice(from).map(({ headers }) => headers.range);
	assert.ok(
		ranges.some((range) => /^bytes=[1-9]\d*-$/.test(range ?? "")),
		"it began from nothing",
	);
	assert.deepEqual(await other.verify(image.digest), []);
});

test("what an attempt left is not believed: damaged on disk, it is fetched anew", { skip }, async () => {
	await push("team/damaged:1");
	const other = freshStore();
	const controller = new AbortController();
	const settings = { ...common(), store: other, cacheDirectory, signal: controller.signal };
	const progress = (done: number) => done > 6 * 2 ** 20 && controller.abort(new Error("enough"));
	await assert.rejects(pullImage(`127.0.0.1:${registry.port}/team/damaged:1`, { ...settings, progress }), /enough/);
	const pulls = join(cacheDirectory, "pulls");
	const partials = readdirSync(pulls, { recursive: true, encoding: "utf8" }).filter((name) =>
		/[0-9a-f]{64}(\.partial)?$/.test(name.split("/")[1] ?? ""),
	);
	assert.ok(partials.length > 0);
	for (const name of partials) {
		const bytes = readFileSync(join(pulls, name));
		if (bytes.length > 100) bytes[100] = (bytes[100] ?? 0) ^ 4;
		writeFileSync(join(pulls, name), bytes);
	}
	await pull("team/damaged:1", other);
	assert.deepEqual(await other.verify(image.digest), []);
});

test("a flipped bit is refused, on the way down and on the way up, and nothing is kept", { skip }, async () => {
	await push("team/flip:1");
	const other = freshStore();
	proxy.mischief = everyBlob(({ path }) =>
		path.includes(image.digest) ? undefined : { kind: "flip", atByte: 4097, where: "response" },
	);
	const down = await failureOf(pull("team/flip:1", other, proxy.port));
	assert.equal(down.code, "registry-content-wrong");
	await assertEmpty(other);
	proxy.mischief = everyBlob(() => ({ kind: "flip", atByte: 40, where: "response" }));
	assert.equal((await failureOf(pull("team/flip:1", other, proxy.port))).code, "registry-content-wrong");
	proxy.mischief = ({ path }) =>
		path.includes("/manifests/") ? { kind: "flip", atByte: 30, where: "response" } : undefined;
	assert.equal((await failureOf(pull("team/flip:1", other, proxy.port))).code, "registry-content-wrong");
	proxy.mischief = ({ method }) => (method === "PATCH" ? { kind: "flip", atByte: 77, where: "request" } : undefined);
	const up = await failureOf(push("team/flipped-up:1", proxy.port));
	assert.equal(up.code, "registry-unreachable");
	assert.match(up.message, /digest did not match/);
	assert.equal((await failureOf(pull("team/flipped-up:1", other))).code, "registry-image-unknown");
});

test("lies about lengths are refused or seen through", { skip }, async () => {
	await push("team/length:1");
	const other = freshStore();
	proxy.mischief = everyBlob(() => ({ kind: "lie-about-length", by: 5000 }));
	assert.equal((await failureOf(pull("team/length:1", other, proxy.port))).code, "registry-answer-wrong");
	proxy.mischief = everyBlob(({ path }) =>
		path.includes(image.digest) ? undefined : { kind: "lie-about-length", by: -5000 },
	);
	const short = await failureOf(pull("team/length:1", other, proxy.port));
	assert.match(short.code, /^registry-(?:unreachable|answer-wrong)$/);
	proxy.mischief = everyBlob(({ headers }) =>
		headers.range === undefined
			? { kind: "cut-response", afterBytes: 5000 }
			: { kind: "answer", status: 206, headers: { "content-range": "bytes 0-99/100" }, body: "x".repeat(100) },
	);
	assert.equal((await failureOf(pull("team/length:1", other, proxy.port))).code, "registry-answer-wrong");
	await assertEmpty(other);
});

test("a registry that stalls or trickles ends in bounded time", { skip }, async () => {
	await push("team/stall:1");
	const other = freshStore();
	const begunMs = performance.now();
	proxy.mischief = everyBlob(({ path }) =>
		path.includes(image.digest) ? undefined : { kind: "stall", afterBytes: 1000 },
	);
	const stalled = await failureOf(pull("team/stall:1", other, proxy.port));
	assert.equal(stalled.code, "registry-unreachable");
	assert.match(stalled.message, /silent|cut/);
	proxy.mischief = everyBlob(({ path }) =>
		path.includes(image.digest) ? undefined : { kind: "trickle", bytesPerTick: 10 },
	);
	const trickled = await failureOf(pull("team/stall:1", other, proxy.port));
	assert.match(trickled.message, /too slow/);
	assert.ok(performance.now() - begunMs < 60_000, `${performance.now() - begunMs} ms`);
	await assertEmpty(other);
});

test("a busy registry is asked again, one that refuses is not", { skip }, async () => {
	const busy = new Set<string>();
	proxy.mischief = ({ method }) =>
		busy.size < busy.add(method).size ? { kind: "answer", status: 503, headers: { "retry-after": "0" } } : undefined;
	await push("team/busy:1", proxy.port);
	const from = proxy.seen.length;
	proxy.mischief = () => ({
		kind: "answer",
		status: 403,
		body: '{"errors":[{"code":"DENIED","message":"no\\u001b[31m"}]}',
	});
	const refused = await failureOf(pull("team/busy:1", freshStore(), proxy.port));
	assert.equal(refused.code, "registry-forbidden");
	assert.match(refused.message, /"no\?\[31m"/);
	assert.equal(proxy.seen.length, from + 1);
});

test("an image other than the expected one is not fetched", { skip }, async () => {
	await push("team/expect:1");
	const from = proxy.seen.length;
	const expect = `sha256:${"0".repeat(64)}` as StoredImage["digest"];
	const settings = { ...common(), store: freshStore(), cacheDirectory, expect };
	const failure = await failureOf(pullImage(`127.0.0.1:${proxy.port}/team/expect:1`, settings));
	assert.equal(failure.code, "registry-image-unexpected");
	assert.equal(proxy.seen.length, from + 1);
});
