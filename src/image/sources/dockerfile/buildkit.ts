import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import type { BuiltImage, DockerfileBuild, DockerfileOptions } from "./build.ts";
import { narrowLayout } from "./contexts.ts";
import { runBuilder } from "./programs.ts";

/** Path of a docker that has buildx and whose engine answers. */
export async function dockerAnswers(host: Host): Promise<string | undefined> {
	const docker = await host.findProgram("docker");
	if (docker === undefined) return undefined;
	const engine = await host.run([docker, "info", "--format", "{{.ServerVersion}}"]);
	if (engine.exitCode !== 0 || engine.stdout.trim() === "") return undefined;
	const buildx = await host.run([docker, "buildx", "version"]);
	return buildx.exitCode === 0 ? docker : undefined;
}

export async function buildWithDocker(
	docker: string,
	build: DockerfileBuild,
	options: DockerfileOptions,
): Promise<BuiltImage> {
	const path = join(build.workFolder, "built.tar");
	const output = `type=oci,dest=${path},compression=uncompressed,force-compression=true,rewrite-timestamp=true`;
	const words = [
		"buildx",
		"build",
		...["--platform", build.platform, "--no-cache", "--provenance", "false", "--sbom", "false"],
		...["--network", build.network, ...(build.network === "host" ? ["--allow", "network.host"] : [])],
		...["--build-arg", `SOURCE_DATE_EPOCH=${build.epoch}`],
		...Object.entries(build.arguments).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
		...(build.target === null ? [] : ["--target", build.target]),
		...(await contextWords(build)),
		...["--output", output, "--progress", "plain", "--file", build.dockerfile, build.context],
	];
	await runBuilder([docker, ...words], undefined, { ...options, source: build.source });
	return { kind: "oci-archive", path };
}

async function contextWords(build: DockerfileBuild): Promise<readonly string[]> {
	const words: string[] = [];
	for (const [index, context] of build.contexts.entries()) {
		if (context.kind === "folder") {
			words.push("--build-context", `${context.name}=${context.path}`);
			continue;
		}
		if (context.kind !== "oci-layout") {
			const reason = `Docker takes no ${context.kind} as the context ${context.name}; choose the builder buildah`;
			throw fail("dockerfile-impossible", { source: build.source, reason });
		}
		const place = join(build.workFolder, `docker-context-${index}`);
		const { folder, digest } = await narrowLayout(context, place, build.platform);
		words.push("--build-context", `${context.name}=oci-layout://${folder}@${digest}`);
	}
	return words;
}
