import { formatPublicKey } from "../../evidence/index.ts";
import type { Action } from "../command.ts";
import { realParts } from "../run/parts.ts";
import { printable, printJson, table } from "../screen.ts";
import { readKey } from "./verify.ts";

export const keyShowAction: Action = async ({ flags }) => {
	const keys = await realParts().keys();
	const listed = keys
		.list()
		.map(({ key, label, role }) => ({ role, keyId: key.keyId, publicKey: formatPublicKey(key), label }));
	if (flags.has("--public")) process.stdout.write(`${listed[0]?.publicKey}\n`);
	else if (flags.has("--json")) printJson(listed);
	else {
		const rows = listed.map(({ role, keyId, publicKey, label }) => [role, keyId, publicKey, printable(label)]);
		process.stdout.write(`${table(rows)}\n`);
	}
	return 0;
};

export const keyRotateAction: Action = async ({ flags }) => {
	const parts = realParts();
	const keys = await parts.keys();
	const before = keys.signer().keyId;
	const successor = keys.rotate(await parts.journal());
	if (flags.has("--json")) printJson({ before, after: successor.keyId });
	else process.stdout.write(`${successor.keyId} signs from now on; ${before} stays trusted for older receipts.\n`);
	return 0;
};

export const keyTrustAction: Action = async ({ operands, flags }) => {
	const key = readKey(operands[0] ?? "");
	const keys = await realParts().keys();
	keys.trust(key, flags.text("--label"));
	if (flags.has("--json")) printJson({ keyId: key.keyId, publicKey: formatPublicKey(key) });
	else process.stdout.write(`Trusted: ${key.keyId}\n`);
	return 0;
};
