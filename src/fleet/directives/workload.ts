import type { Json } from "../../core/index.ts";
import type { Workload } from "../../runtime/schema.ts";
import type { Asked } from "../policies/resolve.ts";
import { jsonOf } from "../rows.ts";
import type { DirectiveRow } from "../store/tables.ts";

/** The image of a stored directive: its workload alone holds it. Most have none, and are not read for it. */
export function imageOf({ needs_workload, workload }: Pick<DirectiveRow, "needs_workload" | "workload">) {
	if (needs_workload === 0) return null;
	const { root } = jsonOf<Workload>(workload);
	return root.kind === "image" ? { reference: root.reference, digest: root.digest } : null;
}

/** Patterns of files that a stored directive hands over. */
export function artifactPatternsOf({
	needs_workload,
	workload,
}: Pick<DirectiveRow, "needs_workload" | "workload">): readonly string[] {
	return needs_workload === 0 ? [] : (jsonOf<Workload>(workload).artifacts ?? []);
}

/** What policies judge of a stored directive. */
export function askedOf(row: DirectiveRow): Asked {
	const { sandbox_profile: profile, command, requested_capabilities } = row;
	return { profile, command, image: imageOf(row), capabilities: jsonOf<Record<string, Json>>(requested_capabilities) };
}
