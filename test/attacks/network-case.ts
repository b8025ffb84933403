import type { LedgerEntry, NetworkRules, ReasonCode } from "../../src/egress/schema.ts";

/** One attack on the network: what the workload does, and what must be true outside afterwards. */
export interface NetworkAttack {
	readonly name: string;
	/** Run by sh in the workspace, beside the others of its batch. */
	readonly script: (aim: Aim) => string;
	/** A refused entry that the ledger must hold. */
	readonly refusal?: Refusal;
	/** What is allowed to arrive, and so must: controls, which show that the witnesses see. */
	readonly arrives?: "token";
	/** Beyond what every attack must not do: reach its victim, or bring its token anywhere. */
	readonly check?: (seen: Seen) => void;
	/** Without a sandbox around it, this attack reaches its victim. */
	readonly bites?: "yes";
}

export interface Aim {
	/** Of the attack's own victim, which listens there for TCP and UDP on every address in the world. */
	readonly port: number;
	/** Bytes that must not arrive anywhere. */
	readonly token: string;
	readonly places: Places;
}

/** Sockets outside that a workload might look for. */
export interface Places {
	readonly unixSocket: string;
	readonly abstractName: string;
	readonly runDirectory: string;
}

export interface Refusal {
	readonly method?: LedgerEntry["method"];
	readonly reason: ReasonCode;
	/** Where it was asked for; the victim's port unless said. */
	readonly port?: number;
	/** How the entry's host begins. */
	readonly host?: string;
}

/** What arrived at one port outside. */
export interface Arrivals {
	readonly connections: readonly { readonly address: string; readonly text: string }[];
	readonly datagrams: readonly string[];
}

export interface Seen {
	readonly output: string;
	readonly aim: Aim;
	readonly arrivals: (port: number) => Arrivals;
	/** Everything that arrived anywhere. */
	readonly everything: string;
	readonly entries: readonly LedgerEntry[];
	/** Names that the gate itself looked up. */
	readonly lookups: readonly string[];
}

/** Attacks that share one sandbox, its rules, and the answers that the gate's resolver gets. */
export interface Batch {
	readonly name: string;
	readonly rules: NetworkRules;
	/** Later look-ups of a name get later answers; the last one stays. */
	readonly names: Readonly<Record<string, readonly (readonly string[])[]>>;
	readonly attacks: readonly NetworkAttack[];
	/** Floods disturb each other and whoever shares their gate: one at a time, and the gate must serve afterwards. */
	readonly manner: "together" | "one by one";
	/** Ports outside that listen beside the victims'. */
	readonly ports: readonly number[];
	/** First port of its victims. */
	readonly firstPort: number;
}

export function aimOf(batch: Batch, index: number, places: Places): Aim {
	const port = batch.firstPort + index;
	return { port, token: `EXFILTRATED-${port}`, places };
}

export const GOOD = "good.example";
export const GOOD_ADDRESS = "203.0.113.10";
/** Where the allowed servers listen, whatever their address. */
export const GOOD_PORT = 8000;
export const ALLOWED_LOOPBACK_PORT = 8006;
export const GATE = "10.0.2.1";
export const GATE_6 = "fd00:766f::1";
export const PROXY = `${GATE} 9080`;
export const METADATA = "169.254.169.254";

type Text = string | Buffer;

export function hex(text: Text): string {
	return (typeof text === "string" ? Buffer.from(text, "latin1") : text).toString("hex");
}

/** Lines of the helper, one verb each. */
export const tcp = (address: string, port: number, payload: Text): string =>
	`./net tcp ${address} ${port} ${hex(payload)}`;
export const udp = (address: string, port: number, payload: Text): string =>
	`./net udp ${address} ${port} ${hex(payload)}`;
export const byName = (name: string, port: number, payload: Text): string =>
	`./net name ${name} ${port} ${hex(payload)}`;
export const toProxy = (payload: Text): string => `./net tcp ${PROXY} ${hex(payload)}`;

export const get = (host: string, token: string): string => `GET /${token} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
export const connect = (authority: string, payload: Text = ""): string =>
	toProxy(Buffer.concat([Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`), bytes(payload)]));

export function bytes(text: Text): Buffer {
	return typeof text === "string" ? Buffer.from(text, "latin1") : text;
}

/** A DNS message with one question (RFC 1035 section 4.1). */
export function question(name: string, type = 1): Buffer {
	const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), bytes(label)]));
	return Buffer.concat([Buffer.from("123401000001000000000000", "hex"), ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

export function framed(message: Buffer): Buffer {
	const length = Buffer.alloc(2);
	length.writeUInt16BE(Math.min(65_535, message.length));
	return Buffer.concat([length, message]);
}
