import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";

/**
 * Which destinations a rule stands for, as sets that can be compared: is `api.example.com:443` within `*.example.com:443`?
 * The gate (egress) judges single connections by the same grammar; here whole rules are judged before anything runs.
 */
export interface DestinationSet {
	/** As written. */
	readonly text: string;
	readonly hosts: readonly HostSet[];
	readonly ports: readonly number[] | "any";
}

export type HostSet =
	| { readonly kind: "every" }
	| { readonly kind: "name"; readonly name: string }
	/** `.example.com`: sub-domains at any depth, not the name itself (conduits section 5.3). */
	| { readonly kind: "subdomains"; readonly suffix: string }
	| { readonly kind: "network"; readonly network: Network };
type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

export type ParsedDestination = DestinationSet | { readonly problem: string };

/** Who wrote a rule: a `deny` without a port means every port, and only a policy may say `*`. */
export type RuleOrigin = "workload-allow" | "workload-deny" | "policy-allow" | "policy-deny";

/** A host without a port: the two of the web. */
const WEB_PORTS: readonly number[] = [80, 443];
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_NAME = 253;

/** All that an unrestricted network reaches. */
export const EVERYWHERE: DestinationSet = { text: "*", hosts: [{ kind: "every" }], ports: "any" };

export function parseDestination(written: string, origin: RuleOrigin): ParsedDestination {
	const text = written.trim();
	const match = /^(?:\[([^\][]+)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
	const bareIPv6 = isIPv6(text.split("/")[0] ?? "") && !text.includes("%");
	if (match === null && !bareIPv6) return { problem: "write host:port, [IPv6]:port or network/bits:port" };
	const [, bracketed, plain, portText] = match ?? [undefined, text, undefined, undefined];
	const hosts = parseHosts(bracketed ?? plain ?? "", origin);
	if ("problem" in hosts) return hosts;
	const ports = parsePorts(portText, hosts, origin);
	return "problem" in ports ? ports : { text: written, hosts, ports: ports.ports };
}

/** Whether everything `narrow` stands for is in one or other of the `wide` sets. */
export function coversDestination(wide: readonly DestinationSet[], narrow: DestinationSet): boolean {
	return narrow.hosts.every((host) => {
		const holding = wide.filter((set) => set.hosts.some((outer) => containsHost(outer, host)));
		if (holding.some((set) => set.ports === "any")) return true;
		const { ports } = narrow;
		return (
			ports !== "any" && ports.every((port) => holding.some((set) => set.ports !== "any" && set.ports.includes(port)))
		);
	});
}

/** Whether something is in both. A name and an address have nothing in common: what a name resolves to, the gate judges. */
export function overlapsDestination(left: DestinationSet, right: DestinationSet): boolean {
	const ports =
		left.ports === "any" || right.ports === "any" || left.ports.some((port) => right.ports.includes(port as never));
	// Of two host sets that share a member, one always holds the other: names nest by suffix, networks by prefix.
	return ports && left.hosts.some((a) => right.hosts.some((b) => containsHost(a, b) || containsHost(b, a)));
}

function containsHost(outer: HostSet, inner: HostSet): boolean {
	if (outer.kind === "every") return true;
	if (outer.kind === "name") return inner.kind === "name" && inner.name === outer.name;
	if (outer.kind === "subdomains") {
		if (inner.kind === "name") return inner.name.endsWith(outer.suffix);
		return inner.kind === "subdomains" && inner.suffix.endsWith(outer.suffix);
	}
	return inner.kind === "network" && containsNetwork(outer.network, inner.network);
}

function containsNetwork(outer: Network, inner: Network): boolean {
	const [address, bits] = outer;
	return address.kind() === inner[0].kind() && bits <= inner[1] && inner[0].match(address as ipaddr.IPv4, bits);
}

function parseHosts(written: string, origin: RuleOrigin): HostSet[] | { problem: string } {
	if (written === "*" && origin.startsWith("policy")) return [{ kind: "every" }];
	if (written.includes("/")) return parseNetwork(written);
	const wildcard = written.startsWith("*.");
	const host = wildcard ? written.slice(2) : written;
	if (isIPv4(host) || isIPv6(host)) {
		return wildcard || host.includes("%") ? { problem: "an address has no wildcard and no zone" } : [single(host)];
	}
	const name = (/^[\x21-\x7e]*$/.test(host) ? host : domainToASCII(host)).toLowerCase().replace(/\.$/, "");
	const labels = name.split(".");
	if (name.length > MAX_NAME || !labels.every((label) => LABEL.test(label))) {
		return { problem: "its host is neither a name nor an address" };
	}
	// WHATWG URL "ends in a number": 127.1 and 0x7f.1 mean an address to some programs and a name to none.
	if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ""))
		return { problem: "addresses are written as four decimal parts" };
	if (name === "localhost" && !wildcard) return [{ kind: "name", name }, single("127.0.0.1"), single("::1")];
	if (labels.length < 2) return { problem: wildcard ? "write *.name.tld" : "write the full name, with a dot" };
	return [wildcard ? { kind: "subdomains", suffix: `.${name}` } : { kind: "name", name }];
}

function single(address: string): HostSet {
	const parsed = ipaddr.process(address);
	return { kind: "network", network: [parsed, parsed.kind() === "ipv4" ? 32 : 128] };
}

function parseNetwork(text: string): HostSet[] | { problem: string } {
	const problem = "write the network's first address and its bits, such as 10.0.0.0/8";
	const [address = "", bits = "", ...rest] = text.split("/");
	if (rest.length > 0 || !/^(?:0|[1-9]\d{0,2})$/.test(bits) || address.includes("%")) return { problem };
	if (!isIPv4(address) && !isIPv6(address)) return { problem };
	const parsed = ipaddr.parse(address);
	const width = parsed.kind() === "ipv4" ? 32 : 128;
	if (Number(bits) > width || (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress())) return { problem };
	const first = (width === 32 ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(text);
	if (first.toString() !== parsed.toString()) return { problem: `write ${first.toString()}/${bits}` };
	return [{ kind: "network", network: [parsed, Number(bits)] }];
}

function parsePorts(
	text: string | undefined,
	hosts: readonly HostSet[],
	origin: RuleOrigin,
): { ports: DestinationSet["ports"] } | { problem: string } {
	const every = hosts.some((host) => host.kind === "every");
	if ((text === undefined || text === "*") && (origin.endsWith("deny") || every)) return { ports: "any" };
	if (text === undefined) {
		const named = hosts.every((host) => host.kind === "name" || host.kind === "subdomains");
		return named ? { ports: WEB_PORTS } : { problem: "write its port, such as :443" };
	}
	if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 65_535)
		return { problem: "its port is not a number from 1 to 65535" };
	return { ports: [Number(text)] };
}
