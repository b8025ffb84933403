import { join } from "node:path";
import { fail } from "../../failures.ts";
import type { BuiltImage, DockerfileBuild, DockerfileOptions } from "./build.ts";
import { narrowLayout } from "./contexts.ts";
import { runBuilder } from "./programs.ts";

export async function buildWithDocker(build: DockerfileBuild, options: DockerfileOptions): Promise<BuiltImage> {
	const docker = await options.host.findProgram("docker");
	if (docker === undefined) throw fail("dockerfile-impossible", { source: build.source, reason: "docker is gone" });
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
		await narrowLayout(context, place);
		words.push("--build-context", `${context.name}=oci-layout://${place}@${context.manifestDigest}`);
	}
	return words;
}
