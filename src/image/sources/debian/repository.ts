import { createHash } from "node:crypto";
import { copyFile, link, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import { pathOfProgram } from "../../artifacts/kernel/programs.ts";
import { fail } from "../../failures.ts";
import type { PackagePin } from "../../plan/schema.ts";

/** A local archive that has exactly the pinned packages: whatever is installed from it is what was pinned. */
export async function makeRepository(
	folder: string,
	pins: readonly PackagePin[],
	paths: readonly string[],
	options: { readonly host: Host; readonly architecture: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
	await mkdir(folder, { mode: 0o755 });
	const stanzas: string[] = [];
	for (const [index, pin] of pins.entries()) {
		options.signal?.throwIfAborted();
		const name = `${pin.name}_${encodeURIComponent(pin.version)}_${pin.architecture}.deb`;
		const path = paths[index] ?? "";
		await link(path, join(folder, name)).catch(() => copyFile(path, join(folder, name)));
		stanzas.push(await stanzaOf(path, name, pin, options.host));
	}
	const packages = stanzas.join("\n");
	await writeFile(join(folder, "Packages"), packages);
	await writeFile(join(folder, "Release"), releaseText(packages, options.architecture));
}

/** What the package says of itself, and where and what it is. */
async function stanzaOf(path: string, name: string, pin: PackagePin, host: Host): Promise<string> {
	const { exitCode, stdout } = await host.run([await pathOfProgram(host, "dpkg-deb"), "--field", path]);
	if (exitCode !== 0) throw fail("debian-package-wrong", { package: `${pin.name} ${pin.version}` });
	const hex = pin.debDigest.slice("sha256:".length);
	return `${stdout.trimEnd()}\nFilename: ./${name}\nSize: ${pin.sizeBytes}\nSHA256: ${hex}\n`;
}

function releaseText(packages: string, architecture: string): string {
	const hex = createHash("sha256").update(packages).digest("hex");
	return [
		"Origin: vouch",
		"Label: vouch",
		"Suite: pinned",
		"Codename: pinned",
		`Architectures: ${architecture} all`,
		"Components: main",
		"Date: Tue, 01 Jan 1980 00:00:00 UTC",
		"SHA256:",
		` ${hex} ${Buffer.byteLength(packages)} Packages`,
		"",
	].join("\n");
}
