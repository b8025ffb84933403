import { VouchError } from "../../core/index.ts";
import { parseRegistryReference } from "../registry/reference.ts";
import type { DebianSource, RegistrySource } from "./schema.ts";

/** What is at a path, as the caller found it. */
export type PathKind = "folder" | "oci-layout" | "dockerfile" | "file" | "missing";

/** A problem of a recipe, as whole sentences. */
export class SourceProblem extends Error {}

/**
 * `debian:SUITE[?packages=a,b&snapshot=…&components=main]`, or undefined for what does not begin so.
 * Throws SourceProblem when it does and is wrong.
 */
export function parseDebian(text: string): DebianSource | undefined {
	const match = /^debian:([^?]*)(?:\?(.*))?$/s.exec(text);
	if (match === null) return undefined;
	const [, suite = "", query = ""] = match;
	const known = ["packages", "snapshot", "components"];
	const values = new URLSearchParams(query);
	for (const key of new Set(values.keys())) {
		if (!known.includes(key)) throw new SourceProblem(`${text} asks for "${key}"; there are ${known.join(", ")}.`);
	}
	const list = (key: string) => words(values.getAll(key).join(","));
	return {
		kind: "debian",
		suite,
		packages: list("packages"),
		components: list("components").length === 0 ? ["main"] : list("components"),
		snapshot: values.get("snapshot"),
	};
}

export function words(text: string): string[] {
	return [...new Set(text.split(/[,\s]+/).filter((word) => word !== ""))].sort();
}

/** An image in a registry, or undefined. A reference always names its host: a bare `debian` is in no registry. */
export function parseRegistry(text: string): RegistrySource | undefined {
	const reference = text.startsWith("docker://") ? text.slice("docker://".length) : text;
	try {
		parseRegistryReference(reference);
		return { kind: "registry", reference };
	} catch (error) {
		if (error instanceof VouchError) return undefined;
		throw error;
	}
}

/** `PATH[:tag]` of an OCI layout, split where a path is there. */
export function splitTag(
	text: string,
	kindOf: (path: string) => PathKind,
): { path: string; tag: string | null } | undefined {
	if (kindOf(text) !== "missing") return { path: text, tag: null };
	const match = /^(.+):([\w.-]{1,128})$/.exec(text);
	const [, path, tag] = match ?? [];
	return path === undefined || tag === undefined || kindOf(path) === "missing" ? undefined : { path, tag };
}
