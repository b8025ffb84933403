import type { Tier } from "./schema.ts";

/** Approval rules of conduits section 6.4: three tiers, the strictest wins. */
export type ApprovalRules = Readonly<Record<string, Tier | undefined>>;

const TIERS: readonly Tier[] = ["skip", "needs_approval", "forbidden"];

export function strictestTier(...tiers: readonly (Tier | undefined)[]): Tier {
	return TIERS[Math.max(0, ...tiers.map((tier) => (tier === undefined ? 0 : TIERS.indexOf(tier))))] ?? "forbidden";
}

/** Per key the strictest of all policies. */
export function mergeApproval(policies: readonly ApprovalRules[]): Record<string, Tier> {
	const merged = new Map<string, Tier>();
	for (const rules of policies) {
		for (const [key, tier] of Object.entries(rules)) {
			if (tier !== undefined) merged.set(key, strictestTier(merged.get(key), tier));
		}
	}
	return Object.fromEntries([...merged].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The three cases that rules can act on; every other key is inert. */
export interface ApprovalFacts {
	readonly profile: string;
	readonly networkMode: string | undefined;
	readonly writesOutsideWorkspace: boolean;
}

const CASES: readonly {
	readonly key: string;
	readonly subject: string;
	readonly fires: (facts: ApprovalFacts) => boolean;
}[] = [
	{ key: "host_profile", subject: "the host profile", fires: ({ profile }) => profile === "host" },
	{
		key: "net_unrestricted",
		subject: "an unrestricted network (net)",
		fires: ({ networkMode }) => networkMode === "unrestricted",
	},
	{
		key: "fs_outside_workspace",
		subject: "write access (fs) outside the workspace",
		fires: (facts) => facts.writesOutsideWorkspace,
	},
];

export interface ApprovalOutcome {
	readonly verdict: Tier;
	readonly fired: readonly { readonly key: string; readonly tier: Exclude<Tier, "skip">; readonly reason: string }[];
}

export function evaluateApproval(rules: ApprovalRules, facts: ApprovalFacts): ApprovalOutcome {
	const fired = CASES.flatMap(({ key, subject, fires }) => {
		const tier = rules[key];
		if (tier === undefined || tier === "skip" || !fires(facts)) return [];
		return [{ key, tier, reason: `${subject} ${tier === "forbidden" ? "is forbidden" : "needs approval"}` }];
	});
	return { verdict: strictestTier(...fired.map(({ tier }) => tier)), fired };
}
