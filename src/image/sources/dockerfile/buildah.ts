import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import { architectureOf } from "../../guest.ts";
import type { BuiltImage, DockerfileBuild, DockerfileOptions } from "./build.ts";
import { type ImageContext, imageAddress, writeSettings } from "./contexts.ts";
import { runBuilder } from "./programs.ts";

/** buildah with a home, configuration and storage of its own below the work folder, all of which go when the build ends. */
export async function buildWithBuildah(build: DockerfileBuild, options: DockerfileOptions): Promise<BuiltImage> {
	const home = await mkdtemp(join(build.workFolder, "buildah-"));
	const programs = await findPrograms(options.host);
	try {
		const buildah = new Buildah(build, options, { home, programs, environment: await writeSettings(home) });
		return await buildah.build();
	} finally {
		await removeHome(home, programs, options.host);
	}
}

const contextImage = (index: number): string => `localhost/vouch-context/${index}:x`;
const CONTEXT_IMAGE = /\blocalhost\/vouch-context\/(\d+):x\b/g;
/** Commits, ids, and ARGs of the platform that were offered and not taken. */
const ACCOUNTS =
	/^(?:COMMIT\b.*|--> \S+|Successfully tagged localhost\/out:latest|[0-9a-f]{64}|\[Warning\] one or more build args were not consumed: .*)$/;

interface Programs {
	readonly buildah: string;
	readonly unshare: string;
}

interface Place {
	readonly home: string;
	readonly programs: Programs;
	readonly environment: Readonly<Record<string, string>>;
}

class Buildah {
	readonly #build: DockerfileBuild;
	readonly #options: DockerfileOptions;
	readonly #place: Place;

	constructor(build: DockerfileBuild, options: DockerfileOptions, place: Place) {
		this.#build = build;
		this.#options = options;
		this.#place = place;
	}

	async build(): Promise<BuiltImage> {
		const { contexts, target, epoch, platform, dockerfile, context, workFolder } = this.#build;
		const words: string[] = [];
		for (const [index, one] of contexts.entries()) {
			const value = one.kind === "folder" ? one.path : `container-image://${await this.#pull(one, index)}`;
			words.push("--build-context", `${one.name}=${value}`);
		}
		for (const [name, value] of Object.entries(this.#build.arguments)) words.push("--build-arg", `${name}=${value}`);
		if (target !== null) words.push("--target", target);
		await this.#run(
			"build",
			[
				...[
					"--pull-never",
					"--isolation",
					"chroot",
					"--cap-drop",
					"CAP_MKNOD",
					"--timestamp",
					`${epoch}`,
					"--format",
					"oci",
				],
				// Of the namespace that buildah is in: chroot isolation takes no other.
				...["--network", "host", "--platform", platform, ...words],
				...["-t", "out", "-f", dockerfile, context],
			],
			(line) => this.#tell(line),
		);
		const path = join(workFolder, "built");
		await this.#run("push", ["--quiet", "--disable-compression", "out", `oci:${path}:x`]);
		return { kind: "oci-layout", path };
	}

	/** What the Dockerfile does and says, without buildah's own accounts and with the names that the Dockerfile has. */
	#tell(line: string): void {
		if (ACCOUNTS.test(line)) return;
		const named = line.replace(CONTEXT_IMAGE, (whole, index) => this.#build.contexts[Number(index)]?.name ?? whole);
		this.#options.onLine(named);
	}

	/** Name of the context's image in the storage. */
	async #pull(context: ImageContext, index: number): Promise<string> {
		const { platform } = this.#build;
		const from = await imageAddress(context, this.#place.home, `context-${index}`);
		const words = ["--quiet", "--os", "linux", "--arch", architectureOf(platform), from];
		const [id = ""] = (await this.#run("pull", words)).slice(-1);
		const name = contextImage(index);
		await this.#run("tag", [id, name]);
		return name;
	}

	#run(
		command: "build" | "pull" | "push" | "tag",
		words: readonly string[],
		onLine: (line: string) => void = () => {},
	): Promise<readonly string[]> {
		const { home, programs, environment } = this.#place;
		const own = ["--root", join(home, "storage"), "--runroot", join(home, "run-storage"), "--storage-driver", "vfs"];
		const policy = command === "tag" ? [] : ["--signature-policy", join(home, "policy.json")];
		const isOffline = command !== "build" || this.#build.network === "none";
		const around = isolation(programs, this.#options.host, isOffline ? "none" : "host");
		// Only a build runs anything of the Dockerfile.
		const prefix = command === "build" ? [...around, ...OWN_DEVICES, join(home, "dev")] : around;
		const argv = [...prefix, programs.buildah, ...own, command, ...policy, ...words];
		const [first = programs.buildah, ...rest] = argv;
		return runBuilder([first, ...rest], this.#network(environment), {
			...this.#options,
			onLine,
			workingDirectory: home,
			source: this.#build.source,
		});
	}

	/** How this machine reaches others; buildah tells it to RUN and keeps it out of the image. */
	#network(environment: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
		if (this.#build.network === "none") return environment;
		const names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
		const proxies = names.flatMap((name) => {
			const value = process.env[name];
			return value === undefined ? [] : [[name, value] as const];
		});
		return { ...environment, ...Object.fromEntries(proxies) };
	}
}

/**
 * Namespaces around buildah: what it mounts and starts ends with it however it ends, and RUN without a network has none, which
 * `--isolation chroot` can't see to. Without root, buildah's own user namespace has to come first.
 */
function isolation({ buildah, unshare }: Programs, host: Host, network: "none" | "host"): readonly string[] {
	const around = [
		...[unshare, "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"],
		...(network === "none" ? ["--net"] : []),
	];
	return host.userId === 0 ? around : [buildah, "unshare", ...around];
}

/** chroot isolation shows RUN the machine's own /dev, disks and all: in this mount namespace it has harmless ones alone. */
const OWN_DEVICES = [
	"sh",
	"-ec",
	[
		'mkdir "$0" && mount -t tmpfs -o mode=755 devices "$0" && mkdir "$0/pts" "$0/shm" "$0/mqueue"',
		'for name in null zero full random urandom tty; do : >"$0/$name"; mount --bind "/dev/$name" "$0/$name"; done',
		'ln -s /proc/self/fd "$0/fd"; ln -s fd/0 "$0/stdin"; ln -s fd/1 "$0/stdout"; ln -s fd/2 "$0/stderr"',
		'mount --rbind "$0" /dev && exec "$@"',
	].join("\n"),
];

async function findPrograms(host: Host): Promise<Programs> {
	const find = async (program: string, debian: string): Promise<string> => {
		const path = await host.findProgram(program);
		if (path !== undefined) return path;
		throw fail("image-tool-missing", { what: "Building a Dockerfile", program, package: debian });
	};
	return { buildah: await find("buildah", "buildah"), unshare: await find("unshare", "util-linux") };
}

async function removeHome(home: string, { buildah }: Programs, host: Host): Promise<void> {
	// Files of other users that the user's namespace maps can be removed in it alone.
	if (host.userId !== 0) {
		const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: home, XDG_RUNTIME_DIR: join(home, "run") };
		await host.run([buildah, "unshare", "rm", "-rf", "--", join(home, "storage")], { environment, timeoutMs: 60_000 });
	}
	// What was killed a moment ago may still be writing.
	await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
