import { toBase64 } from "../../core/index.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import type { Services } from "../services.ts";
import { headOf, prove, proveGrowth } from "./journal.ts";

/** The journal as others see it: its checkpoint, to be remembered elsewhere, and its entries with their proofs. */
export function journalHandlers({ keys }: Services) {
	return {
		"journal.checkpoint": async ({ store }) => {
			const { size, checkpoint } = await store.read(headOf);
			const public_key = toBase64(keys.signer().publicKey.raw);
			return { status: 200, body: { checkpoint, size, public_key } };
		},
		"journal.consistency": async ({ store }, { query: { from } }) => {
			const found = await store.transaction((session) => proveGrowth(session, from));
			if (found === undefined) throw refusal("not-found", { kind: "journal of size", id: String(from) });
			return { status: 200, body: { from, ...found } };
		},
		"journal.entry": async ({ store }, { path: { index } }) => {
			// The head and the hashes of one moment.
			const found = await store.transaction((session) => prove(session, index));
			if (found === undefined) throw refusal("not-found", { kind: "journal entry", id: String(index) });
			const { path, checkpoint } = found.inclusion;
			return { status: 200, body: { index, entry: found.entry, path, checkpoint } };
		},
	} as const satisfies Partial<Handlers>;
}
