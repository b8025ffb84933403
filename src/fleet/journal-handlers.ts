import { toBase64 } from "../core/index.ts";
import type { Handlers } from "./http/handlers.ts";
import { refusal } from "./http/refusal.ts";
import type { Services } from "./services.ts";

/** The journal as others see it: its checkpoint, to be remembered elsewhere, and proofs of its entries. */
export function journalHandlers({ journal, signer }: Services) {
	return {
		"journal.checkpoint": async () => {
			const checkpoint = journal.checkpoint() ?? "";
			const size = Number(checkpoint.split("\n")[1] ?? 0);
			return { status: 200, body: { checkpoint, size, public_key: toBase64(signer().publicKey.raw) } };
		},
		"journal.entry": async (_context, { path }) => {
			try {
				const { leafIndex, path: proof, checkpoint } = journal.prove(path.index);
				return { status: 200, body: { index: leafIndex, path: proof, checkpoint } };
			} catch {
				throw refusal("not-found", { kind: "journal entry", id: String(path.index) });
			}
		},
	} as const satisfies Partial<Handlers>;
}
