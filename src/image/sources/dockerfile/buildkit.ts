import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "../../failures.ts";
import { architectureOf } from "../../guest.ts";
import type { BuiltImage, DockerfileBuild, DockerfileOptions } from "./build.ts";
import { type ImageContext, imageAddress } from "./contexts.ts";
import { runBuilder } from "./programs.ts";

/** By way of the engine's own store, since not every engine reads and writes layouts; nothing of it stays there. */
export async function buildWithDocker(build: DockerfileBuild, options: DockerfileOptions): Promise<BuiltImage> {
	const docker = await programOf("docker", "docker.io", options);
	const engine = new Engine(docker, build, options);
	try {
		return await engine.build();
	} finally {
		await engine.forget();
	}
}

class Engine {
	readonly #docker: string;
	readonly #build: DockerfileBuild;
	readonly #options: DockerfileOptions;
	/** Of this build alone: `vouch-build:ID` and `vouch-build:ID-0`, … */
	readonly #name = `vouch-build:${randomUUID()}`;
	readonly #images: string[] = [];

	constructor(docker: string, build: DockerfileBuild, options: DockerfileOptions) {
		this.#docker = docker;
		this.#build = build;
		this.#options = options;
	}

	async build(): Promise<BuiltImage> {
		const { network, platform, epoch, target, dockerfile, context, workFolder } = this.#build;
		const contexts: string[] = [];
		for (const [index, one] of this.#build.contexts.entries()) {
			const value = one.kind === "folder" ? one.path : `docker-image://${await this.#load(one, index)}`;
			contexts.push("--build-context", `${one.name}=${value}`);
		}
		this.#images.push(this.#name);
		await this.#run([
			...[this.#docker, "buildx", "build", "--load", "--tag", this.#name, "--progress", "plain"],
			...["--platform", platform, "--no-cache", "--provenance", "false", "--sbom", "false"],
			...["--network", network, ...(network === "host" ? ["--allow", "network.host"] : [])],
			...["--build-arg", `SOURCE_DATE_EPOCH=${epoch}`],
			...Object.entries(this.#build.arguments).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
			...(target === null ? [] : ["--target", target]),
			...contexts,
			...["--file", dockerfile, context],
		]);
		const path = join(workFolder, "built.tar");
		await this.#run([this.#docker, "save", "--output", path, this.#name]);
		return { kind: "docker-archive", path };
	}

	/** Takes the build's images out of the engine's store, whatever came of it. */
	async forget(): Promise<void> {
		if (this.#images.length > 0)
			await this.#options.host.run([this.#docker, "image", "rm", "--force", ...this.#images]);
	}

	/** Name of the context's image in the engine's store. */
	async #load(context: ImageContext, index: number): Promise<string> {
		const name = `${this.#name}-${index}`;
		const skopeo = await programOf("skopeo", "skopeo", this.#options);
		const from = await imageAddress(context, this.#build.workFolder, `docker-context-${index}`);
		const platform = ["--override-os", "linux", "--override-arch", architectureOf(this.#build.platform)];
		// Not into the engine at once: Debian's skopeo speaks a version that newer engines refuse.
		const archive = `docker-context-${index}.tar`;
		await this.#run([
			skopeo,
			"--insecure-policy",
			...platform,
			"copy",
			"--quiet",
			from,
			`docker-archive:${archive}:${name}`,
		]);
		this.#images.push(name);
		await this.#run([this.#docker, "load", "--quiet", "--input", join(this.#build.workFolder, archive)]);
		await rm(join(this.#build.workFolder, archive));
		return name;
	}

	#run(argv: readonly string[]): Promise<readonly string[]> {
		const [program = this.#docker, ...words] = argv;
		const { source, workFolder } = this.#build;
		return runBuilder([program, ...words], undefined, { ...this.#options, source, workingDirectory: workFolder });
	}
}

async function programOf(program: string, debian: string, { host }: DockerfileOptions): Promise<string> {
	const path = await host.findProgram(program);
	if (path !== undefined) return path;
	throw fail("image-tool-missing", { what: "Building a Dockerfile with Docker", program, package: debian });
}
