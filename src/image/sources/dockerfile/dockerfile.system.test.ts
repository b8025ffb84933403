import assert from "node:assert/strict";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import { type Digest, VouchError } from "../../../core/index.ts";
import { realHost } from "../../../host/index.ts";
import { readSource } from "../../artifacts/rootfs/index.ts";
import { contextFolder } from "../../plan/index.ts";
import { machinePlatform } from "../../store/index.ts";
import { buildDockerfile, type DockerfileBuild, stageContext, writeLayout } from "./index.ts";

/** Dockerfiles run by the real buildah on a base of one program. */
const BUSYBOX = "/bin/busybox";
const host = realHost();
const platform = machinePlatform() ?? "linux/amd64";
const directory = mkdtempSync(join(tmpdir(), "vouch-dockerfile-"));
after(() => rmSync(directory, { recursive: true }));
const epoch = 315_532_800;
let made = 0;

async function lacks(t: TestContext): Promise<boolean> {
	const programs = ["buildah", "tar", "unshare"];
	const found = await Promise.all(programs.map((name) => host.findProgram(name)));
	const missing = programs.filter((_, index) => found[index] === undefined);
	if (!(await host.exists(BUSYBOX))) missing.push("busybox-static");
	if (missing.length > 0) t.skip(`not installed: ${missing.join(", ")}`);
	return missing.length > 0;
}

function fresh(): string {
	made += 1;
	const folder = join(directory, `${made}`);
	mkdirSync(folder);
	return folder;
}

async function base(folder: string): Promise<{ readonly path: string; readonly manifestDigest: Digest }> {
	const root = join(folder, "root");
	for (const name of ["bin", "etc", "tmp", "proc", "dev", "sys"]) mkdirSync(join(root, name), { recursive: true });
	copyFileSync(BUSYBOX, join(root, "bin/busybox"));
	copyFileSync(BUSYBOX, join(root, "bin/sh"));
	chmodSync(join(root, "bin/sh"), 0o755);
	// The same base each time, whatever second it is.
	const tar = ["tar", "-C", root, "--sort=name", `--mtime=@${epoch}`, "-cf", join(folder, "base.tar"), "."] as const;
	const { exitCode, stderr } = await host.run(tar);
	assert.equal(exitCode, 0, stderr);
	const layout = join(folder, "layout");
	return { path: layout, manifestDigest: await writeLayout(join(folder, "base.tar"), layout, platform) };
}

async function prepared(
	text: string,
	changes: Partial<DockerfileBuild> = {},
): Promise<DockerfileBuild & { readonly workFolder: string }> {
	const folder = fresh();
	const [source, workFolder] = [join(folder, "source"), join(folder, "work")];
	mkdirSync(source);
	mkdirSync(workFolder);
	const dockerfile = join(source, "Dockerfile");
	writeFileSync(dockerfile, text);
	writeFileSync(join(source, "app.sh"), "echo hello\n", { mode: 0o755 });
	writeFileSync(join(source, "secret"), "not in the context\n");
	writeFileSync(join(source, ".dockerignore"), "secret\n");
	const context = join(workFolder, "context");
	const cacheDirectory = join(folder, "cache");
	const { digest } = await contextFolder(source, "Dockerfile", { cacheDirectory });
	await stageContext(
		{ source, dockerfile: "Dockerfile", contextDigest: digest, target: context },
		{ cacheDirectory, epoch, progress: () => {} },
	);
	const contexts = [{ name: "base", kind: "oci-layout", ...(await base(folder)) }] as const;
	const rest = { target: null, arguments: {}, network: "none", platform, epoch, workFolder } as const;
	return { source, context, dockerfile, contexts, ...rest, ...changes };
}

async function build(request: DockerfileBuild, signal?: AbortSignal): Promise<string> {
	const { path } = await buildDockerfile(request, "buildah", { host, signal, onLine: () => {} });
	return path;
}

async function fileOf(
	image: string,
	path: readonly string[],
	kind: "oci-layout" | "docker-archive" = "oci-layout",
): Promise<string | undefined> {
	await using read = await readSource(
		{ kind, path: image, tag: null },
		{ platform, scratchDirectory: directory, host },
	);
	let node: ReturnType<typeof read.tree.root.children.get> = read.tree.root;
	for (const name of path) node = node?.kind === "directory" ? node.children.get(name) : undefined;
	if (node?.kind !== "file") return undefined;
	const bytes = Buffer.alloc(node.content.sizeBytes);
	const reader = node.content.open();
	reader.read(bytes, 0, bytes.length);
	reader.close();
	return bytes.toString();
}

function isLeft(workFolder: string): boolean {
	const mounts = readFileSync("/proc/self/mountinfo", "utf8");
	const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
	const commands = processes.map((pid) => {
		try {
			return readFileSync(`/proc/${pid}/cmdline`, "utf8");
		} catch {
			return "";
		}
	});
	return mounts.includes(workFolder) || commands.some((command) => command.includes(workFolder));
}

const DOCKERFILE = `FROM base AS first
ARG WORD=none
COPY --chmod=755 app.sh /app.sh
RUN sh /app.sh >/said && echo "$WORD" >/word && busybox wc -l </proc/net/dev >/lines && busybox ls >/names
FROM base
COPY --from=first /said /word /lines /names /
COPY . /all/
ENTRYPOINT ["sh", "/app.sh"]
`;

test("two builds of one Dockerfile are identical, RUN works and has no network", async (t) => {
	if (await lacks(t)) return;
	const changes = { arguments: { WORD: "given" } };
	const requests = [await prepared(DOCKERFILE, changes), await prepared(DOCKERFILE, changes)];
	const layouts: string[] = [];
	for (const request of requests) layouts.push(await build(request));
	const [one = "", two = ""] = layouts;
	assert.equal(readFileSync(join(one, "index.json"), "utf8"), readFileSync(join(two, "index.json"), "utf8"));
	assert.equal(await fileOf(one, ["said"]), "hello\n");
	assert.equal(await fileOf(one, ["word"]), "given\n");
	// Two lines of heading and the loopback.
	assert.equal((await fileOf(one, ["lines"]))?.trim(), "3");
	assert.equal(await fileOf(one, ["all", "app.sh"]), "echo hello\n");
	assert.equal(await fileOf(one, ["all", "secret"]), undefined);
	for (const { workFolder } of requests) {
		assert.deepEqual(readdirSync(workFolder).sort(), ["built", "context"]);
		assert.equal(isLeft(workFolder), false);
	}
});

/** Connects to an IPv4 address and says what it hears. */
const CLIENT = `
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **words)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char heard[100];
	int one = socket(AF_INET, SOCK_STREAM, 0);
	if (count != 3 || inet_pton(AF_INET, words[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((unsigned short)atoi(words[2]));
	if (connect(one, (struct sockaddr *)&to, sizeof to) != 0)
		return 1;
	ssize_t length = read(one, heard, sizeof heard);
	return length > 0 && write(1, heard, (size_t)length) == length ? 0 : 1;
}
`;

async function withClient(request: DockerfileBuild): Promise<DockerfileBuild> {
	const path = join(fresh(), "programs");
	mkdirSync(path);
	writeFileSync(join(path, "client.c"), CLIENT);
	const compiled = await host.run(["cc", "-static", "-o", join(path, "client"), join(path, "client.c")]);
	assert.equal(compiled.exitCode, 0, compiled.stderr);
	return { ...request, contexts: [...request.contexts, { name: "programs", kind: "folder", path }] };
}

test("RUN reaches no server or socket, of this machine or beyond, unless the recipe gives it the network", async (t) => {
	if (await lacks(t)) return;
	const asked = new Set<string>();
	const server = createServer((socket) => {
		asked.add(`${socket.localAddress}`);
		socket.end("reached\n");
	});
	const abstract = createServer();
	await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
	const socketName = `vouch-run-${process.pid}`;
	await new Promise<void>((resolve) => abstract.listen(`\0${socketName}`, resolve));
	const { port } = server.address() as AddressInfo;
	const outer = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
	const hosts = [
		"127.0.0.1",
		...outer.filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address),
	];
	const tries = hosts.map((host) => `/client ${host} ${port} >>/reached`);
	const commands = ["busybox touch /reached", ...tries, "busybox cat /proc/net/unix >/sockets"];
	const text = `FROM base\nCOPY --from=programs client /client\nRUN ${commands.join("; ")}\n`;
	try {
		const offline = await build(await withClient(await prepared(text)));
		assert.deepEqual([...asked], []);
		assert.equal(await fileOf(offline, ["reached"]), "");
		assert.doesNotMatch((await fileOf(offline, ["sockets"])) ?? "", new RegExp(socketName));
		// What can reach out when it is asked for: the same lines.
		const online = await build(await withClient(await prepared(text, { network: "host" })));
		assert.deepEqual([...asked].sort(), hosts.toSorted());
		assert.equal(await fileOf(online, ["reached"]), "reached\n".repeat(hosts.length));
		assert.match((await fileOf(online, ["sockets"])) ?? "", new RegExp(socketName));
	} finally {
		server.close();
		abstract.close();
	}
});

test("Docker's BuildKit builds it too, and nothing of it stays in the engine", async (t) => {
	if (await lacks(t)) return;
	const docker = await host.findProgram("docker");
	const ask = async (...words: readonly string[]) => (docker === undefined ? undefined : host.run([docker, ...words]));
	if ((await ask("buildx", "version"))?.exitCode !== 0 || (await ask("info"))?.exitCode !== 0) {
		return t.skip("no Docker engine with buildx answers");
	}
	const request = await prepared(DOCKERFILE, { arguments: { WORD: "given" } });
	const { kind, path } = await buildDockerfile(request, "docker", { host, onLine: () => {} });
	assert.equal(kind, "docker-archive");
	assert.equal(await fileOf(path, ["said"], "docker-archive"), "hello\n");
	assert.equal(await fileOf(path, ["word"], "docker-archive"), "given\n");
	assert.equal((await fileOf(path, ["lines"], "docker-archive"))?.trim(), "3");
	assert.doesNotMatch((await ask("images"))?.stdout ?? "", /vouch-build/);
});

test("RUN has harmless devices alone, and makes none", async (t) => {
	if (await lacks(t)) return;
	const commands = [
		"busybox echo lost >/dev/null && busybox head -c 5 /dev/urandom | busybox wc -c >/random",
		"busybox find /dev -type b >/disks; busybox find /dev -type c | busybox sort >/devices",
		"if busybox mknod /disk b 8 0; then busybox echo made >/node; else busybox echo refused >/node; fi",
	];
	const layout = await build(await prepared(`FROM base\nRUN ${commands.join("; ")}\n`));
	assert.equal((await fileOf(layout, ["random"]))?.trim(), "5");
	assert.equal(await fileOf(layout, ["disks"]), "");
	const harmless = ["full", "null", "random", "tty", "urandom", "zero"].map((name) => `/dev/${name}\n`);
	assert.equal(await fileOf(layout, ["devices"]), harmless.join(""));
	assert.equal(await fileOf(layout, ["node"]), "refused\n");
});

test("a RUN that fails is told with its line, and leaves nothing", async (t) => {
	if (await lacks(t)) return;
	const request = await prepared("FROM base\nRUN exit 7\n");
	await assert.rejects(build(request), (error) => {
		assert.ok(error instanceof VouchError);
		assert.equal(error.code, "dockerfile-failed");
		assert.match(error.message, /RUN exit 7.*exit status 7/);
		return true;
	});
	assert.deepEqual(readdirSync(request.workFolder), ["context"]);
});

test("a build that is aborted leaves nothing: no process, no mount, no file", async (t) => {
	if (await lacks(t)) return;
	const request = await prepared("FROM base\nRUN echo started && busybox sleep 600\n");
	const abort = new AbortController();
	const onLine = (line: string) => {
		if (line === "started") abort.abort(new Error("enough"));
	};
	await assert.rejects(buildDockerfile(request, "buildah", { host, signal: abort.signal, onLine }), /enough/);
	assert.equal(isLeft(request.workFolder), false);
	assert.deepEqual(readdirSync(request.workFolder), ["context"]);
	rmSync(request.workFolder, { recursive: true });
	assert.equal(existsSync(request.workFolder), false);
});

test("an image that no context names is not pulled", async (t) => {
	if (await lacks(t)) return;
	await assert.rejects(build(await prepared("FROM elsewhere.invalid/image:1\n")), /elsewhere\.invalid/);
});

test("a foreign platform is refused when the Dockerfile runs something", async (t) => {
	if (await lacks(t)) return;
	const foreign = platform === "linux/riscv64" ? "linux/arm64" : "linux/riscv64";
	const handler = foreign === "linux/arm64" ? "qemu-aarch64" : "qemu-riscv64";
	if (await host.exists(`/proc/sys/fs/binfmt_misc/${handler}`)) return t.skip(`${handler} is registered`);
	const request = await prepared("FROM base\nRUN true\n", { platform: foreign });
	await assert.rejects(build(request), /can't run programs of/);
});

test("a context that changed after it was planned is refused", async () => {
	const folder = fresh();
	writeFileSync(join(folder, "Dockerfile"), "FROM base\n");
	const cacheDirectory = fresh();
	const { digest } = await contextFolder(folder, "Dockerfile", { cacheDirectory });
	writeFileSync(join(folder, "more"), "new\n");
	const request = { source: folder, dockerfile: "Dockerfile", contextDigest: digest, target: join(fresh(), "context") };
	await assert.rejects(stageContext(request, { cacheDirectory, epoch, progress: () => {} }), {
		code: "image-source-changed",
	});
});
