import { delivered, type Waiting } from "./back-off.ts";
import type { ConduitsClient } from "./conduits-client.ts";
import type { UndeliveredReport } from "./finished-log.ts";
import type { Reply } from "./transport.ts";

/** `kept`: the control plane could not be reached, and it is tried again later. `refused`: it is nobody's business any more. */
export type Delivery =
	| { readonly kind: "delivered"; readonly receiptStatus: number | null }
	| { readonly kind: "refused"; readonly status: number }
	| { readonly kind: "kept" };

/**
 * Tells an end: first its receipt, then that it finished. An existing control plane has no place for receipts and answers 404, and
 * the directive is finished all the same; but one that can't be reached must not hear of the end without the receipt.
 */
export async function deliverEnd(
	client: ConduitsClient,
	{ directive_id: id, token, request, receipt }: UndeliveredReport,
	waiting: Waiting,
	stop: AbortSignal,
): Promise<Delivery> {
	let receiptReply: Reply | undefined;
	if (receipt !== undefined) {
		receiptReply = await delivered(() => client.report(id, "receipt", receipt, token), waiting, stop);
		if (receiptReply === undefined) return { kind: "kept" };
	}
	const reply = await delivered(() => client.report(id, "finished", request, token), waiting, stop);
	if (reply === undefined) return { kind: "kept" };
	if (reply.status >= 300) return { kind: "refused", status: reply.status };
	return { kind: "delivered", receiptStatus: receiptReply?.status ?? null };
}
