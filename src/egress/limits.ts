/** Every bound of the gate: the value, and why it is that value. Times are milliseconds, sizes are bytes. */
export const LIMITS = {
	connections: { value: 512, reason: "each may hold two descriptors and 256 KiB; a usual process may open 1024 files" },
	ledgerEntries: { value: 10_000, reason: "the receipt lists every entry; 10 000 of them are about 4 MB of JSON" },
	carrierHeaderBytes: { value: 200, reason: "the longest VOUCH1 line, two IPv6 addresses and full counters, has 140" },
	carrierHeaderMs: { value: 5_000, reason: "the supervisor writes the line at once: later than that it is stuck" },
	protocolByteMs: {
		value: 30_000,
		reason: "a proxy client that says nothing holds a slot (conduits 9.1 says 2 s, which kills warm pools)",
	},
	headBytes: { value: 16_384, reason: "twice what common servers take in a request head" },
	headers: { value: 100, reason: "what common servers take" },
	responseHeadBytes: { value: 65_536, reason: "responses may carry many cookies and long security policies" },
	responseHeaders: { value: 256, reason: "as above" },
	headMs: { value: 30_000, reason: "conduits 9.1; ends slow-loris requests" },
	firstFlightBytes: {
		value: 32_768,
		reason: "a ClientHello is at most 16 KiB of records; leaves room for record headers",
	},
	firstFlightMs: { value: 10_000, reason: "from the first byte to a whole first flight; ends slow-loris first bytes" },
	connectMs: { value: 30_000, reason: "conduits 9.3" },
	resolveMs: { value: 5_000, reason: "a resolver that takes longer is down" },
	answersJudged: { value: 16, reason: "no honest name needs more addresses; a hostile zone may send thousands" },
	idleMs: { value: 300_000, reason: "five minutes without a byte either way: most NATs have dropped it by then" },
	totalMs: { value: 43_200_000, reason: "half a day: no tunnel outlives a working day unseen" },
	responseMs: { value: 300_000, reason: "from a whole request to the response head; long polls stay below it" },
	syntheticNames: { value: 16_384, reason: "names one run may look up; the pool 198.18.0.0/15 has 131 072 addresses" },
	dnsMessageBytes: { value: 4_096, reason: "DNS over TCP carries up to 64 KiB, no honest question has 1 KiB" },
	dnsMessagesPerStream: { value: 200, reason: "resolver libraries send two; more is a tunnel" },
	dnsNamesListed: { value: 100, reason: "refused names kept apart; past it they are counted by zone, then together" },
	datagramFlowsListed: { value: 500, reason: "refused datagram flows kept apart; past it they are counted together" },
	lingerMs: { value: 1_000, reason: "time for the last words of a refusal to arrive before the connection is cut" },
} as const satisfies Readonly<Record<string, { readonly value: number; readonly reason: string }>>;

export type GateLimits = { readonly [name in keyof typeof LIMITS]: number };

export function gateLimits(changes: Partial<GateLimits> = {}): GateLimits {
	const values = Object.fromEntries(Object.entries(LIMITS).map(([name, row]) => [name, row.value]));
	return { ...(values as GateLimits), ...changes };
}
