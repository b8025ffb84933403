import ipaddr from "ipaddr.js";
import { parseAddress } from "./destination.ts";

/**
 * Ranges that nothing reaches unless a rule spells that address or a network around it. Documentation ranges are
 * deliberately absent: a lab's resolver may answer with them.
 */
const SPECIAL_RANGES: readonly (readonly [network: string, what: string])[] = [
	["169.254.169.254/32", "a cloud metadata service"],
	["100.100.100.200/32", "a cloud metadata service"],
	["fd00:ec2::254/128", "a cloud metadata service"],
	["0.0.0.0/8", "an unspecified address"],
	["10.0.0.0/8", "a private address"],
	["100.64.0.0/10", "a carrier's private address"],
	["127.0.0.0/8", "a loopback address"],
	["169.254.0.0/16", "a link-local address"],
	["172.16.0.0/12", "a private address"],
	["192.0.0.0/24", "a protocol address"],
	["192.88.99.0/24", "a 6to4 relay"],
	["192.168.0.0/16", "a private address"],
	["198.18.0.0/15", "a benchmark address, which the gate uses for names"],
	["224.0.0.0/4", "a multicast address"],
	["255.255.255.255/32", "the broadcast address"],
	["240.0.0.0/4", "a reserved address"],
	["::1/128", "a loopback address"],
	["::/96", "an unspecified or IPv4-compatible address"],
	["::ffff:0:0:0/96", "a translated IPv4 address"],
	["64:ff9b::/96", "an IPv4 address behind NAT64"],
	["64:ff9b:1::/48", "an IPv4 address behind local NAT64"],
	["100::/64", "a discard address"],
	["2001::/32", "an IPv4 address behind Teredo"],
	["2001:10::/28", "an overlay address"],
	["2001:20::/28", "an overlay address"],
	["2002::/16", "an IPv4 address behind 6to4"],
	["fc00::/7", "a private address"],
	["fe80::/10", "a link-local address"],
	["fec0::/10", "a site-local address"],
	["ff00::/8", "a multicast address"],
];

const RANGES = SPECIAL_RANGES.map(([network, what]) => ({ network: ipaddr.parseCIDR(network), what }));

export type Network = ReturnType<typeof ipaddr.parseCIDR>;

export function isInNetwork(address: string, network: Network): boolean {
	const parsed = parseAddress(address);
	return parsed.kind() === network[0].kind() && parsed.match(network);
}

/** What makes an address unreachable by default, in words; undefined for public ones. IPv4-mapped is judged as IPv4. */
export function specialUseOf(address: string): string | undefined {
	const parsed = parseAddress(address);
	return RANGES.find(({ network }) => network[0].kind() === parsed.kind() && parsed.match(network))?.what;
}

export function isLoopback(address: string): boolean {
	return parseAddress(address).range() === "loopback";
}
