import { readFile } from "node:fs/promises";
import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import type { DockerfileInput } from "../../plan/schema.ts";
import type { Platform } from "../../schema.ts";
import { machinePlatform } from "../../store/index.ts";
import { buildWithBuildah } from "./buildah.ts";
import { buildWithDocker } from "./buildkit.ts";
import type { NamedContext } from "./contexts.ts";

export interface DockerfileBuild {
	/** What messages call it. */
	readonly source: string;
	/** The staged context. */
	readonly context: string;
	readonly dockerfile: string;
	readonly target: string | null;
	readonly arguments: Readonly<Record<string, string>>;
	readonly contexts: readonly NamedContext[];
	readonly network: "none" | "host";
	readonly platform: Platform;
	/** Seconds since 1970. */
	readonly epoch: number;
	/** Of this build alone. */
	readonly workFolder: string;
}

export interface DockerfileOptions {
	readonly host: Host;
	readonly signal?: AbortSignal | undefined;
	/** A line that the build said. */
	readonly onLine: (line: string) => void;
}

export interface BuiltImage {
	readonly kind: "oci-layout" | "docker-archive";
	readonly path: string;
}

/** As Debian's qemu-user-static registers them. */
const HANDLERS = {
	"linux/amd64": "qemu-x86_64",
	"linux/arm64": "qemu-aarch64",
	"linux/riscv64": "qemu-riscv64",
} as const;

/**
 * The image of a Dockerfile, below the work folder; everything else of the build is gone. Throws VouchError `dockerfile-failed`,
 * `dockerfile-impossible`, `image-tool-missing`, or the signal's reason.
 */
export async function buildDockerfile(
	build: DockerfileBuild,
	builder: DockerfileInput["builder"]["name"],
	options: DockerfileOptions,
): Promise<BuiltImage> {
	options.signal?.throwIfAborted();
	await checkPlatform(build, options.host);
	return builder === "docker" ? buildWithDocker(build, options) : buildWithBuildah(build, options);
}

async function checkPlatform({ platform, dockerfile, source }: DockerfileBuild, host: Host): Promise<void> {
	if (platform === machinePlatform()) return;
	const text = await readFile(dockerfile, "utf8");
	if (!/^[ \t]*(?:ONBUILD[ \t]+)?RUN\b/im.test(text)) return;
	const handler = HANDLERS[platform];
	const state = await host.readText(`/proc/sys/fs/binfmt_misc/${handler}`);
	if (state?.startsWith("enabled") === true) return;
	const reason = `it has RUN, and this machine can't run programs of ${platform}; install qemu-user-static, or build on such a machine`;
	throw fail("dockerfile-impossible", { source, reason });
}
