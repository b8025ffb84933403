import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Client } from "../../api/index.ts";
import { parseDurationMs } from "../../core/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { describeDirective } from "../fleet/directive-view.ts";
import { directiveSession } from "../fleet/lookup.ts";
import { printOutput, type StreamName, write } from "../fleet/output.ts";
import { meansDirective } from "../fleet/run-or-directive.ts";
import { membersOf, viewOf } from "../fleet/views.ts";
import { findRun } from "../run/find-run.ts";
import { realParts } from "../run/parts.ts";
import { printJson } from "../screen.ts";

export const showDirective: Action = async ({ operands, flags }) => {
	const { client, directive_id } = directiveSession(operands[0], flags);
	if (flags.has("--diff")) return printBytes(diffOf(client, directive_id));
	const directive = await client.directives.show({ directive_id });
	if (flags.has("--json")) printJson(directive);
	else process.stdout.write(`${await describeDirective(client, directive)}\n`);
	return 0;
};

export const directiveLogs: Action = async ({ operands, flags }) => {
	const { client, directive_id } = directiveSession(operands[0], flags);
	const only = flags.text("--only") as StreamName | undefined;
	const follow = flags.has("--follow") ? "follow" : "stored";
	await printOutput(client, directive_id, { follow, only, as: flags.has("--json") ? "json-lines" : "bytes" });
	return 0;
};

export const approveAction: Action = async ({ operands, flags }) => {
	const { client, directive_id } = directiveSession(operands[0], flags);
	const directive = await client.directives.show({ directive_id });
	const { command, cwd, sandbox_profile, artifacts, facility_id, requested_by_user_id, approval_reasons } = directive;
	const asked = { command, cwd, sandbox_profile, artifacts, facility_id, requested_by_user_id, approval_reasons };
	const workload_digest = (flags.text("--digest") ?? directive.workload_digest) as `sha256:${string}`;
	if (!flags.has("--json")) process.stderr.write(`${membersOf({ ...asked, workload_digest })}\n`);
	const validFor = flags.text("--for");
	const validMs = validFor === undefined ? undefined : parseDurationMs(validFor);
	if (validFor !== undefined && validMs === undefined)
		throw fail("cli.usage", { problem: `--for ${validFor}: write a time such as 90m, 8h or 7d.` });
	const expires_in_seconds = validMs === undefined ? null : Math.round(validMs / 1000);
	const body = { workload_digest, reason: flags.text("--reason") ?? null, expires_in_seconds };
	const answer = await client.directives.approve({ directive_id, body });
	if (flags.has("--json")) printJson(answer);
	else process.stdout.write(viewOf("directives.approve", answer));
	return 0;
};

export const diffAction: Action = async ({ operands, flags }) => {
	const id = operands[0] ?? "";
	if (!(await meansDirective(id, flags))) return printFileOf(id, "diff");
	const { client, directive_id } = directiveSession(id, flags);
	return printBytes(diffOf(client, directive_id));
};

/** The diff, or why there is none and what there is in its place. */
async function diffOf(client: Client, directive_id: string): Promise<Uint8Array> {
	const directive = await client.directives.show({ directive_id });
	if (directive.has_diff) return client.directives.diff({ directive_id });
	const why =
		directive.finished_at === null
			? "it has not ended"
			: "it changed nothing, or its facility is no git repository, whose diffs alone are kept";
	throw fail("cli.no-diff", { directive: directive_id, why });
}

export const receiptAction: Action = async ({ operands, flags }) => {
	const id = operands[0] ?? "";
	if (!(await meansDirective(id, flags))) return printFileOf(id, "receipt");
	const { client, directive_id } = directiveSession(id, flags);
	return printBytes(client.directives.receipt({ directive_id }));
};

export const attachmentAction: Action = async ({ operands, flags }) => {
	const { client, directive_id: command_id } = directiveSession(operands[0], flags);
	return printBytes(client.commands.attachment({ command_id }));
};

async function printFileOf(id: string, what: "diff" | "receipt"): Promise<number> {
	const { records } = realParts();
	const { runId } = findRun(records, id);
	const path = records.files(runId)[what];
	if (!existsSync(path)) throw fail("cli.no-output-kept", { run: runId });
	await write(process.stdout, await readFile(path));
	return 0;
}

async function printBytes(answer: Promise<Uint8Array>): Promise<number> {
	await write(process.stdout, await answer);
	return 0;
}
