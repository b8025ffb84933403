import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { reasonOf } from "../../core/index.ts";
import { fail } from "../failures.ts";

export const POLICY_FILE = "vouch.policy.yaml";

export interface PolicyText {
	readonly source: string;
	readonly text: string;
}

/**
 * Texts of the policies that govern a run: the nearest `vouch.policy.yaml` at or above the folder, then those given by name.
 * A file that is there and can't be read is a failure: an unreadable policy must not count as none.
 */
export function findPolicies(from: string, named: readonly string[]): readonly PolicyText[] {
	const nearest = nearestAbove(from);
	const paths = [...(nearest === undefined ? [] : [nearest]), ...named.map((path) => resolve(path))];
	return [...new Set(paths)].map((path) => ({ source: path, text: readPolicy(path) }));
}

function nearestAbove(directory: string): string | undefined {
	for (let at = directory; ; at = dirname(at)) {
		const path = join(at, POLICY_FILE);
		if (existsSync(path)) return path;
		if (at === dirname(at)) return undefined;
	}
}

const MAX_POLICY_BYTES = 1024 * 1024;

function readPolicy(path: string): string {
	try {
		const bytes = readFileSync(path);
		if (bytes.length > MAX_POLICY_BYTES) throw new Error("it is larger than 1 MiB");
		return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch (error) {
		throw fail("cli.policy-unreadable", { path, problem: reasonOf(error) }, error);
	}
}
