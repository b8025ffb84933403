import { z } from "zod";
import type { Parsed } from "./world.ts";

/**
 * A poll's answer by the types that nexusd decodes it into: one wrong type anywhere and it refuses the whole poll, although the
 * server has leased what is in it (conduits section 2.2). What it does not know it ignores.
 */
const text = z.string();
const texts = z.array(text);
const whole = z.int();
const facility = z.object({ id: text.regex(/^[A-Za-z0-9_-]+$/), mount: text, repo_url: text.optional() });
const limits = z.object({
	cpu: whole.optional(),
	memory_mb: whole.optional(),
	disk_mb: whole.optional(),
	max_output_bytes: whole.optional(),
	max_diff_bytes: whole.optional(),
});
const net = z.object({ mode: z.enum(["none", "allowlist", "unrestricted"]), allow: texts.optional() });
const spec = z.object({
	directive_id: text.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
	facility,
	sandbox_profile: z.enum(["host", "untrusted", "trusted"]),
	command: text,
	shell: text,
	cwd: text,
	timeout_seconds: whole,
	limits,
	capabilities: z.object({
		net: net.nullish(),
		fs: z.object({ read: texts.optional(), write: texts.optional() }).nullish(),
	}),
	artifacts: z.object({ collect: texts.optional(), always_diff: z.boolean().optional() }),
});
const poll = z.object({
	directives: z.array(z.object({ directive_id: text, directive_token: text, spec })),
	lease_ttl_seconds: whole,
	retry_after_seconds: whole,
});

/** The only lease of an answer. */
export function decodeAsNexusd(answer: Parsed): z.output<typeof poll>["directives"][number] {
	const { directives } = poll.parse(answer);
	const [lease, another] = directives;
	if (lease === undefined || another !== undefined) throw new Error(`${directives.length} leases`);
	return lease;
}
