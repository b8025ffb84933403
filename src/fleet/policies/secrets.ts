import { z } from "zod";
import type { Json } from "../../core/index.ts";
import { secretNameSchema } from "../../runtime/schema.ts";

const askedSchema = z.object({
	refs: z.array(secretNameSchema).max(64).default([]),
	stdin: secretNameSchema.optional(),
});
const policySchema = z.object({ allowed_refs: z.array(z.string()).max(1000) });

export interface SecretsAllowed {
	/** The policy's own word, and what was asked for and is allowed. */
	readonly effective: Json;
	/** Why it is refused; empty when it is not. */
	readonly refusals: readonly string[];
}

/**
 * Secrets by name (conduits section 10). Whoever asks for none gets none; whoever asks gets those that a policy names, and is refused
 * for any other. The values never come here: the node has them.
 */
export function resolveSecrets(asked: Json | undefined, policy: Json): SecretsAllowed {
	if (asked === undefined || asked === null) return { effective: policy, refusals: [] };
	const read = askedSchema.safeParse(asked);
	if (!read.success) return { effective: policy, refusals: ['secrets must be {"refs": ["NAME", …], "stdin": "NAME"}'] };
	const { refs, stdin } = read.data;
	const names = [...refs, ...(stdin === undefined ? [] : [stdin])];
	if (names.length === 0) return { effective: policy, refusals: [] };
	const allowed = policySchema.safeParse(policy).data?.allowed_refs ?? [];
	const refusals = names.filter((ref) => !allowed.includes(ref)).map((ref) => `no policy allows the secret ${ref}`);
	const said = typeof policy === "object" && policy !== null && !Array.isArray(policy) ? policy : {};
	return { effective: { ...said, ...read.data }, refusals };
}
