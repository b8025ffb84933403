import type { z } from "zod";
import type { Client } from "../../api/index.ts";
import type { directiveSchema, EndReason } from "../../api/people/schema.ts";
import { bytesFromBase64, formatBytes, formatDurationMs } from "../../core/index.ts";
import { type PublicKey, publicKeyFromRaw, verifyReceipt } from "../../evidence/index.ts";
import type { ReceiptPredicate } from "../../evidence/schema.ts";
import { artifactsPart, changesPart, endingOf, networkPart, notesPart, preparationPart } from "../run/report.ts";
import { paint, printable, table } from "../screen.ts";

export type Directive = z.output<typeof directiveSchema>;

/** A directive for people: what was asked, where it ran, how it ended, and what its receipt says it reached and changed. */
export async function describeDirective(client: Client, directive: Directive): Promise<string> {
	const [facility, territory, asker, predicate, answers] = await Promise.all([
		client.facilities.show({ facility_id: directive.facility_id }).catch(() => undefined),
		territoryOf(client, directive),
		client.account.whoami(),
		predicateOf(client, directive),
		answersTo(client, directive),
	]);
	const { id, artifacts, approval_reasons, created_at, started_at, finished_at } = directive;
	const isOwn = asker.user.id === directive.requested_by_user_id;
	const facts: (readonly [string, string])[] = [
		["directive", id],
		["command", printable(directive.command)],
		["facility", named(facility?.name, directive.facility_id)],
		...(artifacts.length === 0 ? [] : [["keeps", printable(artifacts.join(", "))] as const]),
		["state", stateOf(directive, predicate)],
		["asked", `${ago(created_at)}, by ${isOwn ? "you" : directive.requested_by_user_id}`],
		...(approval_reasons.length === 0 ? [] : [["needs a yes", printable(approval_reasons.join("; "))] as const]),
		...answers,
		...(territory === undefined ? [] : [["ran on", territory] as const]),
		...(started_at === null ? [] : [["waited", between(created_at, started_at)] as const]),
		...(started_at === null || finished_at === null ? [] : [["took", between(started_at, finished_at)] as const]),
		[
			"isolation",
			`profile ${directive.sandbox_profile}${predicate === undefined ? "" : `, ${predicate.launchPlan.driver}`}`,
		],
		...(directive.image === null
			? []
			: [["image", `${printable(directive.image.reference)}  ${directive.image.digest}`] as const]),
		["output", outputOf(directive)],
		["workload", directive.workload_digest],
	];
	const receipt = `${paint("bold", "receipt", process.stdout)}  ${receiptHint(directive)}`;
	const reached =
		predicate === undefined
			? []
			: [
					...preparationPart(predicate),
					networkPart(predicate),
					changedPart(directive, predicate),
					...keptPart(predicate, id),
				];
	return [table(facts, Number.POSITIVE_INFINITY), ...reached, receipt].join("\n");
}

/** Who said yes or no, and why; the latest first. */
async function answersTo(
	client: Client,
	{ id: directive_id, approval_reasons }: Directive,
): Promise<readonly (readonly [string, string])[]> {
	if (approval_reasons.length === 0) return [];
	const { approvals } = await client.approvals.list({ directive_id, limit: 20 });
	return approvals.map(({ verdict, approver_user_id, reason }) => [
		`${verdict} by`,
		`${approver_user_id}${reason === null ? "" : `: ${printable(reason)}`}`,
	]);
}

/** What a receipt says, if it fits itself and the control plane's journal; whose key it is, `vouch verify` judges. */
export async function predicateOf(
	client: Client,
	{ id, receipt_digest }: Directive,
): Promise<ReceiptPredicate | undefined> {
	if (receipt_digest === null) return undefined;
	const bytes = await client.directives.receipt({ directive_id: id }).catch(() => undefined);
	if (bytes === undefined) return undefined;
	const { publicKey }: { publicKey?: unknown } = JSON.parse(Buffer.from(bytes).toString());
	const key = keyOf(String(publicKey));
	const journalKey = keyOf((await client.journal.checkpoint()).public_key);
	if (key === undefined || journalKey === undefined) return undefined;
	const verdict = verifyReceipt(bytes, { trustedKeys: [key], journalKeys: [journalKey] });
	return verdict.status === "verified" ? verdict.receipt.predicate : undefined;
}

function keyOf(base64: string): PublicKey | undefined {
	return publicKeyFromRaw(bytesFromBase64(base64) ?? new Uint8Array());
}

export function changedPart({ id, has_diff }: Directive, predicate: ReceiptPredicate): string {
	return changesPart(predicate, has_diff ? `vouch diff ${id}` : null);
}

/** What it handed over, and what a reader should know besides. */
export function keptPart(predicate: ReceiptPredicate, id: string): readonly string[] {
	return [...artifactsPart(predicate, id), ...notesPart(predicate)];
}

export function receiptHint({ id, receipt_digest, finished_at }: Directive): string {
	if (receipt_digest === null) return finished_at === null ? "when it has ended" : "none yet";
	return `${receipt_digest}\n         check it: vouch receipt ${id} > run.receipt.json && vouch verify run.receipt.json`;
}

async function territoryOf(client: Client, { territory_id }: Directive): Promise<string | undefined> {
	if (territory_id === null) return undefined;
	const territory = await client.territories.show({ territory_id }).catch(() => undefined);
	return named(territory?.display_name ?? territory?.name, territory_id);
}

function named(name: string | null | undefined, id: string): string {
	return name === null || name === undefined ? id : `${printable(name)} (${id})`;
}

const WHY_IT_ENDED: Readonly<Record<EndReason, string>> = {
	unanswered: "nobody approved or rejected it in time",
	rejected: "somebody said no",
	approval_expired: "it did not begin while its approval counted",
	policy_forbidden: "the policies forbid it by now",
	territory_lost: "its machine was not heard of any more",
};

/** Its state, and why where no machine ended it. */
export function endOf({ state, end_reason }: Pick<Directive, "state" | "end_reason">): string {
	// Servers of other versions know fewer reasons, or more.
	const why = end_reason && WHY_IT_ENDED[end_reason];
	return why ? `${state}: ${why}` : state;
}

function stateOf(directive: Directive, predicate: ReceiptPredicate | undefined): string {
	const { state, exit_code } = directive;
	if (predicate !== undefined) return `${state}: ${endingOf(predicate)}`;
	return exit_code === null ? endOf(directive) : `${state} with exit code ${exit_code}`;
}

function outputOf({ stdout_bytes, stderr_bytes, stdout_truncated, stderr_truncated }: Directive): string {
	const cut = stdout_truncated || stderr_truncated ? ", cut at its limit" : "";
	return `${formatBytes(stdout_bytes)} on stdout, ${formatBytes(stderr_bytes)} on stderr${cut}`;
}

function ago(time: string): string {
	return `${formatDurationMs(Math.max(0, Date.now() - Date.parse(time)))} ago`;
}

export function between(from: string, to: string): string {
	return formatDurationMs(Math.max(0, Date.parse(to) - Date.parse(from)));
}
