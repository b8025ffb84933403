import { type Client, followLogs, type LogEvent } from "../../api/index.ts";
import type { Action } from "../command.ts";
import {
	between,
	changedPart,
	type Directive,
	endOf,
	keptPart,
	predicateOf,
	receiptHint,
} from "../fleet/directive-view.ts";
import { facilityMeant } from "../fleet/lookup.ts";
import { writeChunk } from "../fleet/output.ts";
import { openSession } from "../fleet/session.ts";
import { directiveRequest, submittedImage } from "../fleet/submission.ts";
import { whyItWaits } from "../fleet/takers.ts";
import { networkPart } from "../run/report.ts";
import { paint, printable, printJson } from "../screen.ts";

const TIMED_OUT = 124;
const NEVER_RAN = 125;
const CANCELED = 130;
/** A machine that is idle takes it sooner. */
const PATIENCE_MS = 2000;

/** Submits, follows and ends as the directive ends. */
export const submitAction: Action = async ({ operands, flags }) => {
	const body = directiveRequest(operands, flags, await submittedImage(flags.text("--image")));
	const { client } = openSession(flags);
	const key = flags.text("--key");
	const json = flags.has("--json");
	const { id: facility_id, said } = await facilityMeant(client, flags.text("--facility"));
	if (said !== undefined && !json) say(said);
	const made = await client.directives.create({ facility_id, body }, key === undefined ? {} : { idempotencyKey: key });
	const { directive_id } = made;
	if (flags.has("--detach")) {
		if (json) printJson(made);
		else process.stdout.write(`${directive_id}\n`);
		return 0;
	}
	if (!json) say(`directive ${directive_id}`);
	if ("approval_reasons" in made && !json)
		say(`it waits for somebody's yes (vouch approve ${directive_id}): ${printable(made.approval_reasons.join("; "))}`);
	const sayWhyItWaits = async () => {
		const why = await whyItWaits(client, body.sandbox_profile ?? "untrusted").catch(() => undefined);
		if (why !== undefined && !json) say(`${why}: it waits until one does; Ctrl-C cancels it`);
	};
	const ended = await follow(client, directive_id, json ? "silent" : "shown", sayWhyItWaits);
	if (!ended) return CANCELED;
	const directive = await client.directives.show({ directive_id });
	if (json) printJson(directive);
	else await showEnd(client, directive);
	return exitCodeOf(directive);
};

function say(text: string): void {
	process.stderr.write(`${paint("bold", "vouch:")} ${text}\n`);
}

/** Whether it has ended; Ctrl-C cancels it, and a second one goes away. */
async function follow(
	client: Client,
	directive_id: string,
	output: "shown" | "silent",
	sayWhyItWaits: () => void,
): Promise<boolean> {
	const away = new AbortController();
	let asked = 0;
	let waiting: NodeJS.Timeout | undefined;
	const interrupt = () => {
		asked += 1;
		if (asked > 1) return away.abort();
		say("canceling it; Ctrl-C again to go away");
		client.directives.cancel({ directive_id }).catch((error: Error) => say(error.message));
	};
	process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
	try {
		for await (const event of followLogs(client, directive_id, { signal: away.signal, onLost })) {
			if (output === "shown") await show(event);
			clearTimeout(waiting);
			if (event.event === "state" && event.state === "queued") waiting = setTimeout(sayWhyItWaits, PATIENCE_MS);
			if (event.event === "end") return true;
		}
		return false;
	} finally {
		clearTimeout(waiting);
		process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
	}
}

function onLost({ message }: Error): void {
	say(`${message} The directive goes on; following it is tried again.`);
}

async function show(event: LogEvent): Promise<void> {
	if (event.event === "chunk") await writeChunk(event, undefined);
}

async function showEnd(client: Client, directive: Directive): Promise<void> {
	const { exit_code, started_at, finished_at, stdout_truncated, stderr_truncated } = directive;
	const code = exit_code === null ? "" : ` with exit code ${exit_code}`;
	const took = started_at === null || finished_at === null ? "" : ` after ${between(started_at, finished_at)}`;
	const cut = stdout_truncated || stderr_truncated ? "; its output was cut" : "";
	const predicate = await predicateOf(client, directive);
	const parts = [
		`${endOf(directive)}${code}${took}${cut}`,
		...(predicate === undefined ? [] : [networkPart(predicate), changedPart(directive, predicate)]),
		...(predicate === undefined ? [] : keptPart(predicate, directive.id)),
		...(predicate === undefined && directive.has_diff
			? [`${paint("bold", "changed")}  vouch diff ${directive.id}`]
			: []),
		`${paint("bold", "receipt")}  ${receiptHint(directive)}`,
	];
	say(parts.join("\n"));
}

/** The command's own where it ran to its end; else one of those that timeout(1), shells and `vouch run` use. */
export function exitCodeOf({
	state,
	exit_code,
	started_at,
}: Pick<Directive, "state" | "exit_code" | "started_at">): number {
	if (state === "timed_out") return TIMED_OUT;
	if (state === "canceled") return started_at === null ? NEVER_RAN : CANCELED;
	if (exit_code === null || exit_code < 0 || exit_code > 255) return state === "succeeded" ? 0 : NEVER_RAN;
	// A node that could not run it says failed, and 0: that is no success.
	return state === "failed" && exit_code === 0 ? NEVER_RAN : exit_code;
}
