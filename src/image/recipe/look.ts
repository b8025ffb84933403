import { type Stats, statSync } from "node:fs";
import { join } from "node:path";
import type { PathKind } from "./source-text.ts";

/** Names that Docker and Podman look for, in their order. */
export const DOCKERFILE_NAMES = ["Dockerfile", "Containerfile"] as const;

/** What is at a path, without reading any of it. */
export function lookAt(path: string): PathKind {
	const found = statsOf(path);
	if (found === undefined) return "missing";
	if (found.isFile()) return "file";
	if (!found.isDirectory()) return "missing";
	if (isFile(join(path, "oci-layout"))) return "oci-layout";
	return dockerfileIn(path) === undefined ? "folder" : "dockerfile";
}

export function dockerfileIn(folder: string): string | undefined {
	return DOCKERFILE_NAMES.find((name) => isFile(join(folder, name)));
}

function isFile(path: string): boolean {
	return statsOf(path)?.isFile() === true;
}

/** Undefined also for what can't be the name of anything: too long, a loop of links, a file as a folder. */
function statsOf(path: string): Stats | undefined {
	try {
		return statSync(path, { throwIfNoEntry: false });
	} catch {
		return undefined;
	}
}
