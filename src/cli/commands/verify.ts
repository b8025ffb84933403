import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../core/index.ts";
import {
	MAX_RECEIPT_BYTES,
	type PublicKey,
	parsePublicKey,
	renderVerdict,
	type Verdict,
	verifyReceipt,
} from "../../evidence/index.ts";
import { artifactSubject } from "../../evidence/schema.ts";
import type { Action, Flag, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { nodeKeys, ownDirectories } from "../node-keys.ts";
import { paint, printable, printJson, table } from "../screen.ts";

export const verifyAction: Action = async ({ operands, flags }) => {
	const path = await receiptPath(operands[0] ?? "");
	const keys = trustedKeys(flags);
	const verdict = verifyReceipt(readBounded(path, MAX_RECEIPT_BYTES), {
		trustedKeys: keys,
		// A control plane journals what its territories sign: whoever trusts its key lets it hold them.
		journalKeys: keys,
		subjects: subjectFiles(flags),
	});
	if (flags.has("--json")) printJson(verdict);
	else show(path, verdict);
	return renderVerdict(verdict).exitCode;
};

/** A file, or else the receipt of the run that the text names: what `vouch run` prints is the beginning of an id. */
async function receiptPath(text: string): Promise<string> {
	if (existsSync(text) || !/^(?:last|[0-9a-f]{8}-[0-9a-f-]*)$/.test(text)) return text;
	const [{ RunRecords }, { findRun }] = await Promise.all([
		import("../../runtime/index.ts"),
		import("../run/find-run.ts"),
	]);
	const records = new RunRecords(join(ownDirectories().data, "runs"));
	return records.files(findRun(records, text).runId).receipt;
}

/** Keys named on the command line, or else those that this node trusts. */
export function trustedKeys(flags: FlagValues): readonly PublicKey[] {
	const named = flags.all("--key");
	return named.length === 0 ? nodeKeys().trusted() : named.map(readKey);
}

export function readKey(given: string): PublicKey {
	const text = looksLikeKey(given) ? given : readBounded(given, 64 * 1024).toString("utf8");
	const parsed = parsePublicKey(text);
	if (parsed.kind === "key") return parsed.key;
	throw fail("cli.key-unusable", { path: given, problem: parsed.reason.sentence });
}

function looksLikeKey(text: string): boolean {
	return text.startsWith("vouch-ed25519") || text.startsWith("-----BEGIN");
}

function subjectFiles(flags: FlagValues): Readonly<Record<string, Uint8Array>> {
	const named: readonly [Flag["name"], string][] = [
		["--stdout", "stdout"],
		["--stderr", "stderr"],
		["--diff", "workspace.diff"],
	];
	const given = named.flatMap(([flag, subject]) => {
		const path = flags.text(flag);
		return path === undefined ? [] : [[subject, readBounded(path, 2 ** 31 - 1)] as const];
	});
	const artifacts = flags.all("--artifact").map((text) => {
		const equals = text.lastIndexOf("=");
		if (equals < 1) throw fail("cli.usage", { problem: `--artifact ${text}: write it as NAME=FILE.` });
		return [artifactSubject(text.slice(0, equals)), readBounded(text.slice(equals + 1), 2 ** 31 - 1)] as const;
	});
	return Object.fromEntries([...given, ...artifacts]);
}

export function readBounded(path: string, maxBytes: number): Buffer {
	try {
		const bytes = readFileSync(path);
		if (bytes.length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
		return bytes;
	} catch (error) {
		throw fail("cli.file-unreadable", { path, problem: reasonOf(error) }, error);
	}
}

const SIGNS = {
	holds: paint("green", "holds", process.stdout),
	"does-not-hold": paint("red", "DOES NOT HOLD", process.stdout),
	"not-claimed": paint("dim", "not claimed", process.stdout),
} as const;

function show(path: string, verdict: Verdict): void {
	const rows = verdict.claims.map((claim) => [SIGNS[claim.status], claim.claim, printable(claim.detail)]);
	const { ending } = renderVerdict(verdict);
	const colour = verdict.status === "verified" ? "green" : "red";
	process.stdout.write(`${table(rows)}\n${printable(path)}: ${paint(colour, ending, process.stdout)}\n`);
}
