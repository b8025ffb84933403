import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { VouchError } from "../../../core/index.ts";
import { fakeHost, type Host, type ProgramResult } from "../../../host/index.ts";
import { pinKernel } from "./index.ts";
import { KEYRING } from "./private-apt.ts";

const NAME = "linux-image-6.1.0-9-cloud-amd64";
const META = `Package: linux-image-cloud-amd64\nVersion: 6.1.9-1\nDepends: ${NAME} (= 6.1.9-1)\n\n`;
const KERNEL = `Package: ${NAME}
Version: 6.1.9-1
Architecture: amd64
Filename: pool/updates/main/l/linux-signed-amd64/${NAME}_6.1.9-1_amd64.deb
Size: 123
SHA256: ${"ab".repeat(32)}
Description: a kernel
 of many words

`;

interface Call {
	readonly words: string;
	readonly sources: string;
	readonly configuration: string;
	readonly folder: string;
}

/** A machine whose apt answers so; `update` is asked with the sources that it would read. */
function aptHost(answers: {
	readonly update?: (sources: string) => Partial<ProgramResult>;
	readonly show?: Readonly<Record<string, string>>;
	readonly settings?: string;
	readonly existing?: readonly string[];
}): { readonly host: Host; readonly calls: readonly Call[] } {
	const calls: Call[] = [];
	const programs = {
		"apt-get": {},
		"apt-cache": {},
		"apt-config": { dump: { stdout: answers.settings ?? "" } },
	};
	const base = fakeHost({ programs, existing: answers.existing ?? [KEYRING], userId: 1000 });
	const host: Host = {
		...base,
		start(argv, options) {
			const path = options?.environment?.APT_CONFIG ?? "";
			const folder = dirname(path);
			const sources = readFileSync(join(folder, "sources.list"), "utf8");
			const words = argv.slice(1).join(" ");
			calls.push({ words, sources, configuration: readFileSync(path, "utf8"), folder });
			const shown = { ...(answers.show ?? { "linux-image-cloud-amd64": META, [`${NAME}=6.1.9-1`]: KERNEL }) };
			const text = shown[words.split(" ").at(-1) ?? ""];
			const shows: Partial<ProgramResult> = text === undefined ? { exitCode: 100 } : { stdout: text };
			const answer = words.startsWith("update") ? (answers.update?.(sources) ?? {}) : shows;
			return fakeHost({ programs: { apt: { "*": answer } } }).start(["apt", ""], options);
		},
	};
	return { host, calls };
}

const refuses = (code: string) => (error: unknown) => error instanceof VouchError && error.code === code;

test("a pin is what the index says of the kernel that the metapackage stands for", async () => {
	const { host, calls } = aptHost({});
	assert.deepEqual(await pinKernel("linux/amd64", { host }), {
		package: NAME,
		version: "6.1.9-1",
		architecture: "amd64",
		suite: "bookworm",
		debDigest: `sha256:${"ab".repeat(32)}`,
		sizeBytes: 123,
		archive: "debian-security",
		path: `pool/updates/main/l/linux-signed-amd64/${NAME}_6.1.9-1_amd64.deb`,
	});
	const [first] = calls;
	assert.match(first?.sources ?? "", /^deb \[arch=amd64 signed-by=\S+\] \S+ bookworm main$/m);
	assert.match(first?.sources ?? "", /^deb \[arch=amd64 signed-by=\S+\] \S+ bookworm-security main$/m);
	assert.ok(first !== undefined && !existsSync(first.folder), "nothing is left of its private folder");
});

test("of the machine's settings, only how to reach an archive is kept", async () => {
	const settings = [
		'Acquire::http::Proxy "http://proxy.test:3128";',
		'Acquire::Retries "3";',
		'Acquire::AllowInsecureRepositories "true";',
		'APT::Update::Post-Invoke:: "touch /tmp/x";',
		'Dir::State "/var/lib/apt";',
		'Acquire::http::Proxy "a"; Dir::State "b";',
	].join("\n");
	const { host, calls } = aptHost({ settings });
	await pinKernel("linux/amd64", { host });
	const text = calls[0]?.configuration ?? "";
	assert.match(text, /proxy\.test/);
	assert.match(text, /Acquire::Retries "3"/);
	assert.doesNotMatch(text, /"true"|Post-Invoke|\/var\/lib\/apt|"b"/);
	assert.match(text, /AllowInsecureRepositories "false"/);
});

test("without the security index alone the pin is from the main one, with a warning", async () => {
	const warnings: string[] = [];
	const update = (sources: string) =>
		sources.includes("-security") ? { exitCode: 100, stderr: "W: x\nE: Failed to fetch it" } : {};
	const { host } = aptHost({ update });
	await pinKernel("linux/amd64", { host, warn: (sentence) => warnings.push(sentence) });
	assert.equal(warnings.length, 1);
	assert.match(warnings[0] ?? "", /security index of bookworm/);
});

test("without any index there is no pin", async () => {
	const { host, calls } = aptHost({ update: () => ({ exitCode: 100, stderr: "E: no network" }) });
	await assert.rejects(pinKernel("linux/amd64", { host }), refuses("kernel-not-pinned"));
	assert.ok(calls.every(({ folder }) => !existsSync(folder)));
});

test("an index that has no such package, or describes none, gives no pin", async () => {
	const lies = [
		{},
		{ "linux-image-cloud-amd64": META },
		{ "linux-image-cloud-amd64": META.replace(NAME, "something") },
		{ "linux-image-cloud-amd64": META, [`${NAME}=6.1.9-1`]: KERNEL.replace("SHA256", "MD5sum") },
		{ "linux-image-cloud-amd64": META, [`${NAME}=6.1.9-1`]: KERNEL.replace("pool/updates", "../updates") },
	];
	for (const show of lies) {
		await assert.rejects(pinKernel("linux/amd64", { host: aptHost({ show }).host }), refuses("kernel-unknown"));
	}
});

test("what is no suite or snapshot never reaches a source list", async () => {
	const { host, calls } = aptHost({});
	for (const wrong of [
		{ suite: "trixie main\ndeb x" },
		{ suite: "-o" },
		{ snapshot: "20250520" },
		{ snapshot: "../x" },
	]) {
		await assert.rejects(pinKernel("linux/amd64", { host, ...wrong }), refuses("kernel-unknown"));
	}
	assert.deepEqual(calls, []);
});

test("a snapshot is as old as it is named", async () => {
	const { host, calls } = aptHost({});
	await pinKernel("linux/amd64", { host, snapshot: "20250520T000000Z" });
	assert.match(calls[0]?.sources ?? "", /check-valid-until=no\] \S+\/20250520T000000Z bookworm main/);
});

test("without apt or Debian's keys it is said what to install", async () => {
	const { host } = aptHost({ existing: [] });
	await assert.rejects(pinKernel("linux/amd64", { host }), /debian-archive-keyring/);
	const bare = fakeHost({ existing: [KEYRING] });
	await assert.rejects(pinKernel("linux/amd64", { host: bare }), refuses("kernel-program-missing"));
});

test("an interrupted pin ends with the signal's reason", async () => {
	const { host } = aptHost({});
	const pinning = pinKernel("linux/amd64", { host, signal: AbortSignal.abort(new Error("stopped")) });
	await assert.rejects(pinning, /stopped/);
});
