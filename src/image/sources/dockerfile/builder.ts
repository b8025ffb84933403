import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import type { DockerfileInput } from "../../plan/schema.ts";
import { rememberedVersion } from "../../plan/tool-version.ts";
import type { DockerfileSource } from "../../recipe/schema.ts";

export interface BuilderOptions {
	readonly host: Host;
	/** Of images. */
	readonly cacheDirectory: string;
}

type Builder = DockerfileInput["builder"];

/**
 * Which builder runs a Dockerfile here, and its version: Docker where its engine answers, else buildah. Throws VouchError
 * `dockerfile-impossible`, `image-tool-missing`.
 */
export async function chooseBuilder(source: DockerfileSource, options: BuilderOptions): Promise<Builder> {
	const docker = source.builder === "buildah" ? undefined : await dockerVersion(options.host);
	if (docker !== undefined) return { name: "docker", version: docker };
	if (source.builder === "docker") {
		const reason = "no Docker engine with buildx answers; start it, or choose the builder buildah";
		throw fail("dockerfile-impossible", { source: source.path, reason });
	}
	const version = await rememberedVersion("buildah", options, () => buildahVersion(options.host));
	return { name: "buildah", version };
}

/** Of the engine, which holds BuildKit, and of buildx; undefined where one of them doesn't answer. */
async function dockerVersion(host: Host): Promise<string | undefined> {
	const docker = await host.findProgram("docker");
	if (docker === undefined) return undefined;
	const engine = await host.run([docker, "version", "--format", "{{.Server.Version}}"]);
	if (engine.exitCode !== 0 || engine.stdout.trim() === "") return undefined;
	const buildx = await host.run([docker, "buildx", "version"]);
	if (buildx.exitCode !== 0) return undefined;
	const [, buildxVersion = "unknown"] = buildx.stdout.trim().split(/\s+/);
	return `${engine.stdout.trim()}, buildx ${buildxVersion}`;
}

async function buildahVersion(host: Host): Promise<string> {
	const program = await host.findProgram("buildah");
	const missing = { what: "Building a Dockerfile", program: "buildah", package: "buildah" };
	if (program === undefined) throw fail("image-tool-missing", missing);
	const { stdout } = await host.run([program, "--version"]);
	return /version (\S+)/.exec(stdout)?.[1] ?? stdout.trim();
}
