import { z } from "zod";
import { digestSchema } from "../core/index.ts";

/** One destination rule as written: `host:port`, `*.host:port`, `host` (ports 80 and 443), `ADDRESS:port`, `CIDR:port`. */
export const ruleTextSchema = z.string().min(1).max(300);

/** What plain HTTP may do at a destination; a request that no row matches is refused. */
export const httpRuleSchema = z.strictObject({
	destination: ruleTextSchema,
	/** Upper-case method names; empty allows every method. */
	methods: z.array(z.string().regex(/^[A-Z]{1,20}$/)).max(32),
	/** Path prefixes that start with `/`; empty allows every path. */
	paths: z.array(z.string().startsWith("/").max(1024)).max(64),
});
export type HttpRule = z.infer<typeof httpRuleSchema>;

/** `none` refuses everything, `allowlist` what no rule names, `unrestricted` only private addresses and `deny`. */
export const networkModeSchema = z.enum(["none", "allowlist", "unrestricted"]);

export const networkRulesSchema = z.strictObject({
	mode: networkModeSchema,
	allow: z.array(ruleTextSchema).max(1000),
	deny: z.array(ruleTextSchema).max(1000),
	http: z.array(httpRuleSchema).max(1000),
});
export type NetworkRules = z.infer<typeof networkRulesSchema>;

/** Decision reason codes of the node protocol (conduits section 5.3). Receivers map an unknown code to OTHER. */
export const reasonCodeSchema = z.enum([
	"OK",
	"NET_MODE_NONE",
	"NOT_IN_ALLOWLIST",
	"PORT_NOT_ALLOWED",
	"INVALID_DESTINATION",
	"PROXY_REQUIRED",
	"SNI_MISMATCH",
	"DNS_DENIED",
	"POLICY_EXPIRED",
	"APPROVAL_REQUIRED",
	"INTERNAL_ERROR",
	"OTHER",
]);
export type ReasonCode = z.infer<typeof reasonCodeSchema>;

const count = z.int().nonnegative();

/** One attempt to reach something, and what became of it. */
export const ledgerEntrySchema = z.strictObject({
	sequence: count,
	/** RFC 3339 UTC, milliseconds. */
	time: z.iso.datetime(),
	process: z.strictObject({ pid: count, name: z.string().max(64) }).nullable(),
	/** How the attempt reached the gate. */
	method: z.enum(["CONNECT", "HTTP", "SOCKS5", "TRANSPARENT", "DNS", "DATAGRAM"]),
	protocol: z.enum(["tcp", "udp", "icmp", "dns", "other"]),
	/** Name asked for, normalised; the literal address when there was none. */
	host: z.string().max(255),
	/** Port asked for, 0 where the protocol has none. */
	port: z.int().min(0).max(65535),
	/** Address dialled or judged; null when no address was reached. */
	address: z.string().max(64).nullable(),
	sni: z.string().max(255).nullable(),
	httpHost: z.string().max(255).nullable(),
	/** Requests on plain HTTP: `GET /path`, the query left out. Bounded; the first ones are kept. */
	requests: z.array(z.string().max(300)).max(32),
	verdict: z.enum(["allowed", "refused"]),
	reason: reasonCodeSchema,
	/** One plain sentence of why, for people. */
	detail: z.string().max(300),
	/** The rule that decided, as written; null when none did. */
	rule: ruleTextSchema.nullable(),
	/** Payload bytes that left the box. */
	bytesUp: count,
	/** Payload bytes that came back. */
	bytesDown: count,
	/** Payload bytes the sandbox offered and the gate did not forward. */
	bytesWithheld: count,
	durationMs: z.number().nonnegative(),
	/** How many like attempts this entry stands for: datagrams of one flow are counted, not listed. */
	attempts: z.int().positive(),
});
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;

/** Bytes the sandbox's own network interface counted, and whether the ledger explains them. */
export const reconciliationSchema = z.strictObject({
	verdict: z.enum(["agrees", "unaccounted-egress", "not-measured"]),
	interfaceTxBytes: count,
	interfaceTxPackets: count,
	interfaceRxBytes: count,
	interfaceRxPackets: count,
	/** Payload that the ledger explains, with kernel-counted retransmissions. */
	explainedBytes: count,
	unexplainedBytes: count,
});
export type Reconciliation = z.infer<typeof reconciliationSchema>;

export const ledgerSummarySchema = z.strictObject({
	/** RFC 6962 Merkle root over the canonical JSON of each entry. */
	root: digestSchema,
	entries: count,
	/** Attempts past the ledger's limit: refused, counted, not listed. */
	overflow: count,
	allowed: count,
	refused: count,
	bytesUp: count,
	bytesDown: count,
	reconciliation: reconciliationSchema,
});
export type LedgerSummary = z.infer<typeof ledgerSummarySchema>;
