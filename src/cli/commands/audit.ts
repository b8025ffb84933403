import type { Action } from "../command.ts";
import { givenFor } from "../fleet/operation-action.ts";
import type { MemberFlag } from "../fleet/operation-row.ts";
import { write } from "../fleet/output.ts";
import { openSession } from "../fleet/session.ts";

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
