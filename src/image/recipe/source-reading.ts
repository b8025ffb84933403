import { resolve } from "node:path";
import { VouchError } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { DOCKERFILE_NAMES, dockerfileIn, lookAt } from "./look.ts";
import {
	type ContextSource,
	contextSourceSchema,
	type DebianSource,
	type RecipeFile,
	type RecipeSource,
	type SourceKind,
} from "./schema.ts";
import { type PathKind, parseDebian, parseRegistry, SourceProblem, splitTag } from "./source-text.ts";

/** Turns what a person wrote as a source into one that says what it is, and collects what is wrong with it. */
export class SourceReading {
	readonly #host: Host;
	readonly #base: string;
	readonly #problems: string[];

	constructor(host: Host, base: string, problems: string[]) {
		this.#host = host;
		this.#base = base;
		this.#problems = problems;
	}

	async read(text: string, recipe: RecipeFile): Promise<RecipeSource | undefined> {
		return this.#noting(async () => {
			const kind = recipe.kind ?? this.#kindOf(text);
			if (kind === "dockerfile") return this.#dockerfile(text, recipe);
			if (kind === "debian") return this.#debian(text, recipe.debian);
			this.#refuseUnused(recipe, kind);
			return this.#plain(text, kind);
		});
	}

	/** What is a path is that path; a bare `debian` is looked up nowhere. */
	#kindOf(text: string): SourceKind | "archive" {
		const isSaid = /^(?:debian:|docker:\/\/|oci:)/.exec(text)?.[0];
		const there = this.#look(text);
		if (there === "missing" || isSaid !== undefined) {
			if (isSaid === "debian:") return "debian";
			if (isSaid === "oci:") return "oci-layout";
			if (parseRegistry(text) !== undefined && !/^[./]/.test(text)) return "registry";
		}
		if (there === "missing") {
			throw new SourceProblem(
				`There is no ${text}. A source is a folder, a tar file, an OCI layout, debian:SUITE, or an image in a registry with its host.`,
			);
		}
		return there === "file" ? "archive" : there;
	}

	#look = (path: string): PathKind => lookAt(resolve(this.#base, path));

	async #plain(text: string, kind: Exclude<SourceKind, "dockerfile" | "debian"> | "archive"): Promise<ContextSource> {
		switch (kind) {
			case "registry": {
				const parsed = parseRegistry(text);
				if (parsed !== undefined) return parsed;
				throw new SourceProblem(`${text} is no image in a registry: write host/name:tag or host/name@sha256:….`);
			}
			case "oci-layout": {
				const found = splitTag(text.replace(/^oci:/, ""), this.#look);
				if (found === undefined || this.#look(found.path) !== "oci-layout") {
					throw new SourceProblem(`${text} is no OCI layout: a folder that holds a file oci-layout is one.`);
				}
				return { kind, path: resolve(this.#base, found.path), tag: found.tag };
			}
			case "archive":
				return this.#recognised(resolve(this.#base, text));
			case "folder":
			case "tar":
				if (this.#look(text) === "missing") throw new SourceProblem(`There is no ${text}.`);
				return { kind, path: resolve(this.#base, text) };
			case "oci-archive":
			case "docker-archive": {
				const found = splitTag(text, this.#look);
				if (found === undefined) throw new SourceProblem(`There is no ${text}.`);
				return { kind, path: resolve(this.#base, found.path), tag: found.tag };
			}
		}
	}

	async #recognised(path: string): Promise<ContextSource> {
		try {
			// Loaded here: most sources are told by their names.
			const { recogniseSource } = await import("../artifacts/rootfs/index.ts");
			return await recogniseSource(path, { host: this.#host });
		} catch (error) {
			if (error instanceof VouchError) throw new SourceProblem(error.message);
			throw error;
		}
	}

	#debian(text: string, settings: RecipeFile["debian"]): DebianSource {
		const parsed = parseDebian(text);
		if (parsed === undefined) throw new SourceProblem(`${text} names no Debian suite: write debian:bookworm.`);
		const packages = [...new Set([...parsed.packages, ...(settings?.packages ?? [])])].sort();
		return this.#checked({
			...parsed,
			packages,
			components: settings?.components ?? parsed.components,
			snapshot: settings?.snapshot ?? parsed.snapshot,
		});
	}

	async #dockerfile(text: string, recipe: RecipeFile): Promise<RecipeSource> {
		const path = resolve(this.#base, text);
		if (!["folder", "dockerfile", "oci-layout"].includes(lookAt(path))) {
			throw new SourceProblem(`There is no folder ${text} to build a Dockerfile in.`);
		}
		const settings = recipe.dockerfile ?? {};
		const file = settings.file ?? dockerfileIn(path);
		if (file === undefined) {
			throw new SourceProblem(
				`There is no ${DOCKERFILE_NAMES.join(" and no ")} in ${text}; name it with dockerfile.file.`,
			);
		}
		if (lookAt(resolve(path, file)) !== "file") this.#problems.push(`There is no Dockerfile ${file} in ${text}.`);
		if ((recipe.debian?.packages ?? []).length > 0) this.#unused("debian.packages", "dockerfile");
		return {
			kind: "dockerfile",
			path,
			file,
			target: settings.target ?? null,
			arguments: settings.arguments ?? {},
			contexts: await this.#contexts(settings.contexts ?? {}),
			network: settings.network ?? "none",
			builder: settings.builder ?? "auto",
		};
	}

	async #contexts(texts: Readonly<Record<string, string>>): Promise<Record<string, ContextSource>> {
		const contexts: Record<string, ContextSource> = {};
		for (const [name, text] of Object.entries(texts)) {
			const read = await this.#noting(async () => {
				const kind = this.#kindOf(text);
				if (kind === "debian") return this.#debian(text, undefined);
				// A Dockerfile in a named context is not built: it is a folder to copy from.
				return this.#plain(text, kind === "dockerfile" ? "folder" : kind);
			});
			if (read !== undefined) contexts[name] = read;
		}
		return contexts;
	}

	#refuseUnused(recipe: RecipeFile, kind: string): void {
		const { arguments: given, contexts, ...rest } = recipe.dockerfile ?? {};
		const used = [...Object.keys(rest), ...Object.keys(given ?? {}), ...Object.keys(contexts ?? {})];
		if (used.length > 0) this.#unused("dockerfile", kind);
		if ((recipe.debian?.packages ?? []).length > 0) this.#unused("debian.packages", kind);
	}

	#unused(key: string, kind: string): void {
		this.#problems.push(`${key} is given, and means nothing for a source of the kind ${kind}.`);
	}

	#checked(source: DebianSource): DebianSource {
		const parsed = contextSourceSchema.safeParse(source);
		if (parsed.success) return source;
		throw new SourceProblem(
			parsed.error.issues.map(({ path, message }) => `The Debian source's ${path.join(".")} ${message}.`).join(" "),
		);
	}

	async #noting<T>(work: () => Promise<T>): Promise<T | undefined> {
		try {
			return await work();
		} catch (error) {
			if (!(error instanceof SourceProblem)) throw error;
			this.#problems.push(error.message);
			return undefined;
		}
	}
}
