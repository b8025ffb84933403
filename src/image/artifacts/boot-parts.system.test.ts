import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import { digestOf, VouchError } from "../../core/index.ts";
import { type Host, realHost } from "../../host/index.ts";
import type { Platform, RootfsFormat } from "../schema.ts";
import { writeInitramfs } from "./initramfs/index.ts";
import { commandLineFor, fetchKernel, type KernelPin, pinKernel, unpackKernel } from "./kernel/index.ts";
import { bytesContent, directoryNode, packRootfs, type RootfsTree } from "./rootfs/index.ts";
import { formatVerity } from "./verity/index.ts";

/** The parts as an image has them, made from Debian's packages and started in the machines that they are for. */
const build = join(import.meta.dirname, "../../../build");
/** Kept from run to run: 160 MB of packages. */
const cacheDirectory = join(build, "test-cache");
const host = realHost();
const directory = mkdtempSync(join(tmpdir(), "vouch-boot-parts-"));
after(() => rmSync(directory, { recursive: true }));

const FIRMWARE = "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin";
const BOOT_LIMIT_MS = 60_000;
let made = 0;

async function lacks(t: TestContext, ...programs: readonly string[]): Promise<boolean> {
	const found = await Promise.all(programs.map((name) => host.findProgram(name)));
	const missing = programs.filter((_, index) => found[index] === undefined);
	const files = programs.includes("qemu-system-riscv64") && !(await host.exists(FIRMWARE)) ? [FIRMWARE] : [];
	if (missing.length + files.length === 0) return false;
	t.skip(`not installed: ${[...missing, ...files].join(", ")}`);
	return true;
}

const pins = new Map<Platform, Promise<KernelPin>>();

function pinned(platform: Platform): Promise<KernelPin> {
	const pin = pins.get(platform) ?? pinKernel(platform, { host, warn: (said) => process.stderr.write(`${said}\n`) });
	pins.set(platform, pin);
	return pin;
}

/** A machine whose network is gone, or rather all that would use it. */
const offline: Host = {
	...host,
	run: () => assert.fail("a program was run"),
	start: () => assert.fail("a program was started"),
};

async function partsFor(platform: Platform, rootfsFormat: RootfsFormat) {
	const deb = await fetchKernel(await pinned(platform), { host, cacheDirectory });
	const { bytes, modules } = await unpackKernel(deb, { platform, host, cacheDirectory, rootfsFormat });
	const guest = readFileSync(join(build, `vouch-guest-${platform.slice("linux/".length)}`));
	const parts = { kernel: bytes, initramfs: writeInitramfs({ guest, modules }) };
	const kernel = join(directory, `kernel-${modules.length}-${platform.slice("linux/".length)}`);
	writeFileSync(kernel, parts.kernel);
	writeFileSync(`${kernel}.initramfs`, parts.initramfs);
	return { kernel, initramfs: `${kernel}.initramfs`, modules };
}

/** A root file system of one file, with its hash tree. */
async function diskOf(format: RootfsFormat) {
	const file = {
		kind: "file",
		meta: directoryNode().meta,
		content: bytesContent(Buffer.alloc(9000, "vouch")),
	} as const;
	const tree: RootfsTree = { root: directoryNode() };
	tree.root.children.set("file", file);
	const path = join(directory, `disk-${format}-${made++}`);
	await packRootfs(tree, { format, path, epoch: 315_532_800 });
	const verity = await formatVerity(path, { salt: "00".repeat(32), uuid: "00000000-0000-4000-8000-000000000001" });
	return { path, verity };
}

function machineFor(platform: Platform): readonly [string, ...string[]] {
	if (platform === "linux/amd64") return ["qemu-system-x86_64", "-M", "microvm,accel=tcg", "-cpu", "max,-erms,-fsrm"];
	return ["qemu-system-riscv64", "-M", "virt,accel=tcg", "-bios", FIRMWARE];
}

/** What the console says until the guest waits for its host, or the machine has ended. */
async function consoleOf(
	platform: Platform,
	parts: { kernel: string; initramfs: string },
	disk: string,
	words: string,
) {
	const [program, ...machine] = machineFor(platform);
	const socket = join(mkdtempSync(join(directory, "channel-")), "channel");
	const args = [
		...[...machine, "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
		...["-serial", "stdio", "-kernel", parts.kernel, "-initrd", parts.initramfs, "-append", words],
		...["-drive", `id=root,file=${disk},format=raw,if=none,read-only=on`],
		...["-device", "virtio-blk-device,drive=root,serial=vouch-root", "-device", "virtio-serial-device"],
		...["-chardev", `socket,id=channel,path=${socket},server=on,wait=off`],
		...["-device", "virtserialport,chardev=channel,name=vouch.channel"],
		...["-global", "virtio-mmio.force-legacy=false"],
	];
	const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
	const timer = setTimeout(() => child.kill("SIGKILL"), BOOT_LIMIT_MS);
	let said = "";
	for (const stream of [child.stdout, child.stderr])
		stream.on("data", (bytes: Buffer) => {
			said += bytes.toString("latin1");
			if (said.includes("vouch: waiting")) child.kill("SIGKILL");
		});
	await new Promise<void>((resolve) => child.on("close", () => resolve()));
	clearTimeout(timer);
	return said;
}

/** What this machine's own words are: a driver appends them. */
function ownWords(platform: Platform): string {
	if (platform !== "linux/amd64") return "";
	const mhz = /cpu MHz\s*: ([0-9.]+)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "2000";
	return ` tsc_early_khz=${Math.round(Number(mhz) * 1000)} tsc=reliable pci=off`;
}

async function boots(platform: Platform, format: RootfsFormat): Promise<void> {
	const [parts, disk] = [await partsFor(platform, format), await diskOf(format)];
	const words = commandLineFor(platform, format, disk.verity) + ownWords(platform);
	const said = await consoleOf(platform, parts, disk.path, words);
	assert.match(said, /vouch: waiting/);
	assert.doesNotMatch(said, /could not be loaded|Unknown symbol/);
}

test("amd64: pinned, fetched and unpacked; the second time without a network or a program", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb", "xz")) return;
	const platform = "linux/amd64";
	const pin = await pinned(platform);
	const deb = await fetchKernel(pin, { host, cacheDirectory });
	assert.equal(digestOf(readFileSync(deb)), pin.debDigest);
	const first = await unpackKernel(deb, { platform, host, cacheDirectory: directory, rootfsFormat: "erofs" });
	assert.equal(await fetchKernel(pin, { host: offline, cacheDirectory }), deb);
	const options = { platform, host: offline, cacheDirectory: directory, rootfsFormat: "erofs" } as const;
	const second = await unpackKernel(deb, options);
	assert.ok(Buffer.from(first.bytes).equals(second.bytes));
	assert.deepEqual(
		second.modules.map(({ name, bytes }) => [name, digestOf(bytes)]),
		first.modules.map(({ name, bytes }) => [name, digestOf(bytes)]),
	);
	assert.equal(first.release, pin.package.slice("linux-image-".length));
	assert.equal(Buffer.from(first.bytes).toString("latin1", 1, 4), "ELF");
	const names = first.modules.map(({ name }) => name);
	assert.ok(names.indexOf("virtio.ko") < names.indexOf("virtio_blk.ko") && !names.includes("squashfs.ko"));
	assert.ok(first.modules.every(({ bytes }) => !Buffer.from(bytes).subarray(-40).includes("signature appended")));
});

test("a package that was changed in the cache is fetched again", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb")) return;
	const pin = await pinned("linux/amd64");
	const own = mkdtempSync(join(directory, "cache-"));
	const deb = await fetchKernel(pin, { host, cacheDirectory: own });
	truncateSync(deb, 1000);
	assert.equal(digestOf(readFileSync(await fetchKernel(pin, { host, cacheDirectory: own }))), pin.debDigest);
});

test("a pin that the archive contradicts, or that it has not, gets nothing", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb")) return;
	const pin = await pinned("linux/amd64");
	const other = { ...pin, debDigest: digestOf("other") };
	const gone = { ...pin, path: pin.path.replace(".deb", "-gone.deb"), debDigest: digestOf("gone") };
	for (const wrong of [other, gone]) {
		const own = mkdtempSync(join(directory, "cache-"));
		const fetching = fetchKernel(wrong, { host, cacheDirectory: own });
		await assert.rejects(fetching, (error) => error instanceof VouchError && error.code === "kernel-not-fetched");
	}
});

test("an interrupted fetch leaves nothing behind", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb")) return;
	const pin = await pinned("linux/amd64");
	const own = mkdtempSync(join(directory, "cache-"));
	const fetching = fetchKernel(pin, { host, cacheDirectory: own, signal: AbortSignal.timeout(30) });
	await assert.rejects(fetching, (error) => error instanceof Error && error.name === "TimeoutError");
	const left = readdirSync(own, { recursive: true, encoding: "utf8" });
	assert.deepEqual(
		left.filter((name) => !["kernels", "kernels/packages"].includes(name)),
		[],
	);
});

test("a package that is none, or is cut off, is refused", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb")) return;
	const deb = await fetchKernel(await pinned("linux/amd64"), { host, cacheDirectory });
	const cut = join(directory, "cut.deb");
	copyFileSync(deb, cut);
	truncateSync(cut, 5_000_000);
	const none = join(directory, "none.deb");
	writeFileSync(none, "!<arch>\nnothing");
	for (const path of [cut, none, join(directory, "absent.deb")]) {
		const options = { platform: "linux/amd64", host, cacheDirectory: directory, rootfsFormat: "erofs" } as const;
		const unpacking = unpackKernel(path, options);
		await assert.rejects(unpacking, (error) => error instanceof VouchError && error.code === "kernel-refused");
	}
});

for (const format of ["erofs", "squashfs"] as const) {
	test(`amd64, ${format}: boots in a microvm until the guest waits for its host`, async (t) => {
		if (await lacks(t, "apt-get", "dpkg-deb", "xz", "qemu-system-x86_64")) return;
		await boots("linux/amd64", format);
	});
}

test("amd64: does not boot with another root hash than the disk's", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb", "xz", "qemu-system-x86_64")) return;
	const platform = "linux/amd64";
	const [parts, disk] = [await partsFor(platform, "erofs"), await diskOf("erofs")];
	const words = commandLineFor(platform, "erofs", { ...disk.verity, rootHash: "5".repeat(64) }) + ownWords(platform);
	assert.doesNotMatch(await consoleOf(platform, parts, disk.path, words), /vouch: waiting/);
});

test("riscv64: boots until the guest waits for its host", async (t) => {
	if (await lacks(t, "apt-get", "dpkg-deb", "xz", "qemu-system-riscv64")) return;
	await boots("linux/riscv64", "erofs");
});
