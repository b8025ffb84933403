import { existsSync, writeFileSync } from "node:fs";
import type { Client } from "../../api/index.ts";
import { bytesFromBase64 } from "../../core/index.ts";
import { formatPublicKey, type PublicKey, publicKeyFromRaw } from "../../evidence/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { proveAudit } from "../fleet/audit-proof.ts";
import { givenFor } from "../fleet/operation-action.ts";
import type { MemberFlag } from "../fleet/operation-row.ts";
import { write } from "../fleet/output.ts";
import { openSession, readText } from "../fleet/session.ts";
import { paint, printable, printJson } from "../screen.ts";
import { readKey } from "./verify.ts";

export function auditExportAction(filters: readonly MemberFlag[]): Action {
	return async (invocation) => {
		const given = givenFor({ operation: "audit.export", flags: filters }, invocation);
		const { client } = openSession(invocation.flags);
		for await (const event of client.audit.export(given)) await write(process.stdout, line(event));
		return 0;
	};
}

function line(value: unknown): Uint8Array {
	return Buffer.from(`${JSON.stringify(value)}\n`);
}

export const auditVerifyAction: Action = async ({ flags }) => {
	const { client } = openSession(flags);
	const given = flags.text("--key");
	const key = given === undefined ? await keyOf(client) : readKey(given);
	const file = flags.text("--checkpoint");
	const kept = file === undefined || !existsSync(file) ? undefined : readText(file);
	const verdict = await proveAudit(client, key, kept);
	const holds = verdict.problems.length === 0;
	if (holds && file !== undefined) writeFileSync(file, verdict.checkpoint);
	if (flags.has("--json")) printJson({ ...verdict, key: formatPublicKey(key) });
	else {
		for (const problem of verdict.problems)
			process.stdout.write(`${paint("red", "DOES NOT HOLD", process.stdout)}  ${printable(problem)}\n`);
		const { covered, entries, waiting } = verdict;
		const mark = holds ? `${paint("green", "holds", process.stdout)}  ` : "";
		process.stdout.write(
			`${mark}${covered} events are as ${entries} entries of the journal say; ${waiting} are not journaled yet\n`,
		);
	}
	return holds ? 0 : 1;
};

/** What the control plane says is its key: enough to see that its store was changed, not that it lies itself. */
async function keyOf(client: Client): Promise<PublicKey> {
	const { public_key } = await client.journal.checkpoint();
	const key = publicKeyFromRaw(bytesFromBase64(public_key) ?? new Uint8Array());
	if (key === undefined) throw fail("cli.key-unusable", { path: public_key, problem: "it is no Ed25519 key" });
	return key;
}
