import { z } from "zod";
import { digestSchema } from "../core/index.ts";

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
	/** Who answered: the login name of the person at the terminal. */
	approver: z.string().min(1).max(256),
	method: z.enum(["terminal"]),
	time: z.iso.datetime(),
});
export type Approval = z.infer<typeof approvalSchema>;
