import { z } from "zod";
import { digestSchema } from "../core/index.ts";
import { networkModeSchema } from "../egress/schema.ts";
import { driverNameSchema } from "../runtime/schema.ts";

export const decisionSchema = z.strictObject({
	schema: z.literal("vouch.decision/v1"),
	verdict: z.enum(["allow", "deny", "needs-approval"]),
	workloadDigest: digestSchema,
	/** The policies that were asked, in order: where each came from and its digest. */
	policies: z.array(z.strictObject({ source: z.string(), digest: digestSchema })),
	/** Every rule that fired; for `allow` what permitted it. Never empty. */
	reasons: z.array(z.strictObject({ code: z.string(), sentence: z.string() })).min(1),
});
export type Decision = z.infer<typeof decisionSchema>;

export const approvalSchema = z.strictObject({
	schema: z.literal("vouch.approval/v1"),
	workloadDigest: digestSchema,
	verdict: z.enum(["approved", "rejected"]),
	/** Who answered: the login name of the person at the terminal, or the user of the control plane. */
	approver: z.string().min(1).max(256),
	method: z.enum(["terminal", "api"]),
	time: z.iso.datetime(),
});
export type Approval = z.infer<typeof approvalSchema>;

/** DSSE payload type of a signed decision. */
export const DECISION_PAYLOAD_TYPE = "application/vnd.vouch.decision.v1+json";

/** What whoever runs a workload for others is shown first: this workload, this answer, these people. */
export const signedDecisionSchema = z.strictObject({ decision: decisionSchema, approvals: z.array(approvalSchema) });
export type SignedDecision = z.infer<typeof signedDecisionSchema>;

/**
 * Three lists with one meaning everywhere: what `deny` names is refused, then what `approve` names needs a person's yes,
 * and once there is an `allow`, only what it or `approve` names may run. A list that is not there says nothing; `[]` says
 * that there is nothing of it.
 */
function listsOf<Item extends z.ZodType>(item: Item) {
	const list = z.array(item).max(1000).optional();
	return z.strictObject({ allow: list, approve: list, deny: list });
}

const patternTextSchema = z.string().trim().min(1).max(1024);

/** Limits as people write them, by the names of the flags of `vouch run`. */
const writtenLimitsSchema = z.strictObject({
	cpus: z.number().positive().optional(),
	memory: z.union([z.string(), z.number()]).optional(),
	processes: z.int().positive().optional(),
	open_files: z.int().positive().optional(),
	disk_write: z.union([z.string(), z.number()]).optional(),
	output: z.union([z.string(), z.number()]).optional(),
	timeout: z.union([z.string(), z.number()]).optional(),
});
export type WrittenLimits = z.infer<typeof writtenLimitsSchema>;

/** What an approval rule makes of its case (conduits section 6.4), from the mildest to the strictest. */
export const tierSchema = z.enum(["skip", "needs_approval", "forbidden"]);
export type Tier = z.infer<typeof tierSchema>;

/** `vouch.policy.yaml` as written (docs/reference/policy.md). Every section may be left out. */
export const policyDocumentSchema = z.strictObject({
	version: z.literal(1),
	isolation: listsOf(driverNameSchema.exclude(["fake"])).optional(),
	network: listsOf(patternTextSchema)
		.extend({ modes: z.array(networkModeSchema).max(3).optional() })
		.optional(),
	paths: z
		.strictObject({ write: listsOf(patternTextSchema).optional(), read: listsOf(patternTextSchema).optional() })
		.optional(),
	commands: listsOf(patternTextSchema).optional(),
	limits: z.strictObject({ max: writtenLimitsSchema.optional(), default: writtenLimitsSchema.optional() }).optional(),
	approval: z
		.strictObject({
			/** The command runs on the host without isolation. */
			host_profile: tierSchema.optional(),
			/** The network mode is `unrestricted`. */
			net_unrestricted: tierSchema.optional(),
			/** The command may write outside `/workspace`. */
			fs_outside_workspace: tierSchema.optional(),
		})
		.optional(),
});
export type PolicyDocument = z.infer<typeof policyDocumentSchema>;

/** `fake` exists for tests; policies written for it are of tests too, and are built without a file. */
export type Lists<Item> = {
	readonly allow?: readonly Item[] | undefined;
	readonly approve?: readonly Item[] | undefined;
	readonly deny?: readonly Item[] | undefined;
};
