import { canonicalAddress, isAddress, parsePort } from "./destination.ts";

/** The line with which the supervisor introduces each connection it carries: `VOUCH1 tcp 7 10.0.2.2 40000 198.18.0.1 443`. */
export interface CarrierHeader {
	readonly kind: "tcp" | "dns";
	readonly id: number;
	readonly source: { readonly address: string; readonly port: number };
	readonly destination: { readonly address: string; readonly port: number };
	/** Bytes of the line with its newline. */
	readonly length: number;
}

export type CarrierParse =
	| { readonly state: "header"; readonly header: CarrierHeader }
	| { readonly state: "incomplete" }
	| { readonly state: "malformed" };

/** Reads one header from the front of the bytes; what follows it is the carried stream. */
export function parseCarrierHeader(bytes: Buffer, maxBytes: number): CarrierParse {
	const newline = bytes.subarray(0, maxBytes).indexOf(0x0a);
	if (newline < 0) return { state: bytes.length >= maxBytes ? "malformed" : "incomplete" };
	const match =
		/^VOUCH1 (tcp|dns) ([0-9]{1,15}) ([0-9a-fA-F.:]{2,45}) ([0-9]{1,5}) ([0-9a-fA-F.:]{2,45}) ([0-9]{1,5})$/.exec(
			bytes.toString("latin1", 0, newline),
		);
	if (match === null) return { state: "malformed" };
	const [, kind, id, sourceAddress = "", sourcePort = "", address = "", portText = ""] = match;
	const port = parsePort(portText);
	if (!isAddress(sourceAddress) || !isAddress(address) || port === undefined) return { state: "malformed" };
	return {
		state: "header",
		header: {
			kind: kind === "dns" ? "dns" : "tcp",
			id: Number(id),
			source: { address: canonicalAddress(sourceAddress), port: Number(sourcePort) },
			destination: { address: canonicalAddress(address), port },
			length: newline + 1,
		},
	};
}
