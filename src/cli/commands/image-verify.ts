import { verifyImage } from "../../image/index.ts";
import type { Action } from "../command.ts";
import { longWork } from "../image/long-work.ts";
import { findImage, imageParts } from "../image/parts.ts";
import { paint, printable, printJson, table } from "../screen.ts";

const SIGNS = {
	holds: paint("green", "holds", process.stdout),
	"does-not-hold": paint("red", "DOES NOT HOLD", process.stdout),
	"not-claimed": paint("dim", "not claimed", process.stdout),
} as const;

export const imageVerifyAction: Action = ({ operands, flags }) => {
	const text = operands[0] ?? "";
	return longWork("terminal", async (signal, progress) => {
		const parts = imageParts();
		const { digest } = await findImage(parts, text);
		const verdict = await verifyImage(parts.store, digest, { signal, progress: progress.bytes("reading every block") });
		progress.done();
		const good = verdict.verdict === "verified";
		if (flags.has("--json")) {
			printJson(verdict);
			return good ? 0 : 1;
		}
		const rows = verdict.claims.map(({ claim, status, detail }) => [SIGNS[status], claim, printable(detail)]);
		const ending = good
			? paint("green", "every claim holds", process.stdout)
			: paint("red", "REJECTED", process.stdout);
		process.stdout.write(`${table(rows)}\n${printable(text)}: ${ending}\n`);
		return good ? 0 : 1;
	});
};
