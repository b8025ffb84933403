import { type Host, isAddress, parseHost, printable } from "./destination.ts";

/** SOCKS5 (RFC 1928), the part the gate speaks: no authentication, CONNECT. */
export type Greeting =
	| { readonly state: "greeting"; readonly length: number; readonly offersNone: "offered" | "not-offered" }
	| { readonly state: "incomplete" };

export type SocksRequest =
	| { readonly state: "connect"; readonly length: number; readonly host: Host; readonly port: number }
	| { readonly state: "refused"; readonly reply: number; readonly shown: string; readonly problem: string }
	| { readonly state: "incomplete" };

export const NO_AUTHENTICATION = Buffer.from([5, 0]);
export const NO_METHOD = Buffer.from([5, 0xff]);

/** RFC 1928 section 6, with the bind address 0.0.0.0:0 (conduits 9.6). */
export const REPLY = { succeeded: 0, notAllowed: 2, commandNotSupported: 7, addressNotSupported: 8 } as const;

export function replyOf(code: number): Buffer {
	return Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
}

/** The first message of a client whose first byte is 5. */
export function parseGreeting(bytes: Buffer): Greeting {
	const count = bytes[1];
	if (count === undefined || bytes.length < 2 + count) return { state: "incomplete" };
	const offered = bytes.subarray(2, 2 + count).includes(0) ? "offered" : "not-offered";
	return { state: "greeting", length: 2 + count, offersNone: offered };
}

/** The second message. At most 262 bytes; never reads past what is there. */
export function parseSocksRequest(bytes: Buffer): SocksRequest {
	if (bytes.length < 5) return { state: "incomplete" };
	const [version, command, reserved, type, first = 0] = bytes;
	const no = (reply: number, problem: string, shown = ""): SocksRequest => ({
		state: "refused",
		reply,
		shown,
		problem,
	});
	if (version !== 5 || reserved !== 0) return no(REPLY.addressNotSupported, "it is not a SOCKS5 request");
	const addressLength = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + first : undefined;
	if (addressLength === undefined) return no(REPLY.addressNotSupported, "its address type is unknown");
	const length = 4 + addressLength + 2;
	if (bytes.length < length) return { state: "incomplete" };
	const text = addressText(type ?? 0, bytes.subarray(4, 4 + addressLength));
	const shown = printable(text, 255);
	if (command !== 1) {
		const what = command === 2 ? "BIND" : command === 3 ? "UDP ASSOCIATE" : "this command";
		return no(REPLY.commandNotSupported, `${what} is not offered, only CONNECT`, shown);
	}
	const host = parseHost(text);
	const port = bytes.readUInt16BE(length - 2);
	if (host.kind === "invalid") return no(REPLY.addressNotSupported, `of its host ${host.problem}`, shown);
	if (port === 0) return no(REPLY.addressNotSupported, "its port is 0", shown);
	return { state: "connect", length, host, port };
}

function addressText(type: number, bytes: Buffer): string {
	if (type === 3) return bytes.toString("latin1", 1);
	if (type === 1) return [...bytes].join(".");
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
	const text = groups.join(":");
	return isAddress(text) ? text : "";
}
