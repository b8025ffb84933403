import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Host } from "../host/index.ts";
import { fail } from "./failures.ts";
import type { Platform } from "./schema.ts";

/** The package's root, from `src/image/` and from `dist/cli/` alike. */
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

/** Highest generation of the guest protocol that build/vouch-guest-… speaks; see docs/reference/guest-protocol.md. */
export const GUEST_GENERATION = 1;

const BUILD_TIMEOUT_MS = 120_000;

const ARCHITECTURES = { "linux/amd64": "amd64", "linux/arm64": "arm64", "linux/riscv64": "riscv64" } as const;
export type Architecture = (typeof ARCHITECTURES)[Platform];

/** Debian's and Go's word for a platform's processor: they agree on these three. */
export function architectureOf(platform: Platform): Architecture {
	return ARCHITECTURES[platform];
}

/**
 * Path of the first process of a machine of that platform. The package brings it; in a checkout it is compiled when it is
 * missing. Throws VouchError `image-guest-missing`.
 */
export async function findGuest(host: Host, platform: Platform): Promise<string> {
	const architecture = architectureOf(platform);
	const path = `${packageRoot}build/vouch-guest-${architecture}`;
	if (await host.exists(path)) return path;
	const script = `${packageRoot}scripts/build-guest`;
	await host.run(["bash", script, architecture], { timeoutMs: BUILD_TIMEOUT_MS });
	if (await host.exists(path)) return path;
	throw fail("image-guest-missing", { platform, path, fix: `bash ${script} ${architecture}` });
}

export function vouchVersion(): string {
	const manifest: { version: string } = JSON.parse(readFileSync(`${packageRoot}package.json`, "utf8"));
	return manifest.version;
}
