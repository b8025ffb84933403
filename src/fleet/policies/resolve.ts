import { ISOLATION_PROFILES } from "../../api/conduits/schema.ts";
import type { Json } from "../../core/index.ts";
import {
	type CapabilityPolicy,
	type CommandProfile,
	commandLabels,
	evaluateApproval,
	isCovered,
	mergeCapabilities,
	type NetCapability,
	resolveFs,
	resolveNet,
	strictestTier,
} from "../../governance/index.ts";
import type { Tier } from "../../governance/schema.ts";
import { reviewersOf, sandboxRefusals } from "./sandbox-rules.ts";
import { resolveSecrets } from "./secrets.ts";

/** What a directive asks for, as far as policies look at it. */
export interface Asked {
	readonly profile: string;
	readonly command: string;
	readonly image: { readonly digest: string } | null;
	readonly capabilities: Readonly<Record<string, Json | undefined>>;
}

/** A stored policy and its name in snapshots. */
export interface NamedPolicy {
	readonly id: string;
	readonly dimensions: CapabilityPolicy;
}

export interface Resolution {
	readonly verdict: Tier;
	/** Why, for people: policies first, then shapes of the command. */
	readonly reasons: readonly string[];
	/** Labels of a command that is refused whatever the policies say; empty otherwise. */
	readonly violations: readonly string[];
	/** Different people who must say yes; 0 when nobody needs to. */
	readonly approvalsNeeded: number;
	readonly effective: { readonly [dimension: string]: Json };
	readonly snapshot: { readonly [member: string]: Json };
}

/** Section 5.5. */
const WORKSPACE_ONLY = { read: ["workspace:**"], write: ["workspace:**"] };
const NOTHING = { read: [], write: [] };
const CONFINED: ReadonlySet<string> = new Set(["untrusted", "trusted", "darwin-automation", ...ISOLATION_PROFILES]);
const NO_NETWORK: NetCapability = { mode: "none" };
/** What holds an untrusted command holds any: those that name how it is held are inspected no further. */
const INSPECTED: ReadonlySet<string> = new Set(["trusted", "host", "darwin-automation"]);

/** PolicyResolver, sections 6.7 and 6.8. Pure: the same at creation, at every poll and in a dry run. */
export function resolve(asked: Asked, policies: readonly NamedPolicy[], resolvedAt: string): Resolution {
	const merged = mergeCapabilities(policies.map(({ dimensions }) => dimensions));
	const base = merged.fs ?? (CONFINED.has(asked.profile) ? WORKSPACE_ONLY : NOTHING);
	const fs = resolveFs(objectOf(asked.capabilities.fs), base);
	// Deny-all by name: an empty object has no mode, and a node answers that with an internal error (section 5.1).
	const net = resolveNet(objectOf(asked.capabilities.net), merged.net) ?? NO_NETWORK;
	const secrets = resolveSecrets(asked.capabilities.secrets, merged.secrets);
	const effective = { fs, net, secrets: secrets.effective, sandbox_profile_rules: merged.sandbox_profile_rules };
	const approval = evaluateApproval(merged.approval, {
		profile: asked.profile,
		networkMode: net.mode,
		writesOutsideWorkspace: fs.write.some((path) => !isCovered(path, ["/workspace"])),
	});
	const shapes = commandLabels(
		asked.command,
		INSPECTED.has(asked.profile) ? (asked.profile as CommandProfile) : "untrusted",
	);
	const shapeTier: Tier = shapes.verdict === "safe" ? "skip" : shapes.verdict;
	const refusals = [...secrets.refusals, ...sandboxRefusals(asked, merged.sandbox_profile_rules)];
	const refusedTier: Tier = refusals.length > 0 ? "forbidden" : "skip";
	const verdict = strictestTier(strictestTier(approval.verdict, shapeTier), refusedTier);
	return {
		verdict,
		reasons: [...approval.fired.map(({ reason }) => reason), ...shapes.labels, ...refusals],
		violations: shapes.verdict === "forbidden" ? shapes.labels : [],
		approvalsNeeded: verdict === "needs_approval" ? reviewersOf(merged.sandbox_profile_rules) : 0,
		effective: effective as unknown as Resolution["effective"],
		snapshot: {
			policies_applied: policies.map(({ id }) => id),
			resolved_at: resolvedAt,
			fs: (merged.fs ?? {}) as Json,
			net: (merged.net ?? {}) as Json,
			secrets: merged.secrets,
			sandbox_profile_rules: merged.sandbox_profile_rules,
			approval: merged.approval,
		},
	};
}

function objectOf(value: Json | undefined): { readonly [member: string]: never } | null {
	return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as never) : null;
}
