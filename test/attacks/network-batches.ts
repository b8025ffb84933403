/** Every attack with the rules it is tried under: what the world runs and what the tests judge. */
import type { NetworkRules } from "../../src/egress/schema.ts";
import {
	ALLOWED_LOOPBACK_PORT,
	type Batch,
	GOOD,
	GOOD_PORT,
	type NetworkAttack,
	tcp,
	toProxy,
} from "./network-case.ts";
import { DIRECT_ATTACKS } from "./network-direct-attacks.ts";
import { FLOOD_ATTACKS } from "./network-flood-attacks.ts";
import { KERNEL_ATTACKS } from "./network-kernel-attacks.ts";
import { NAMED_ATTACKS, NAMES_OUTSIDE } from "./network-named-attacks.ts";
import { REPLAYED_BATCHES } from "./network-replay.ts";

const RULES: NetworkRules = {
	mode: "allowlist",
	allow: [
		`${GOOD}:${GOOD_PORT}`,
		`*.wild.example:${GOOD_PORT}`,
		"rebind.example:8001",
		"private.example:8002",
		"meta.example:80",
		"mapped.example:8003",
		"huge.example:8004",
		"odd.example:8007",
		"mixed.example:8005",
		`127.0.0.1:${ALLOWED_LOOPBACK_PORT}`,
		`[2001:db8::10]:${GOOD_PORT}`,
		"203.0.113.64/26:8010",
	],
	deny: ["no.wild.example"],
	http: [],
};

/** Ports outside that an attack might reach beside its victim's. */
const WORLD_PORTS = [
	53,
	80,
	443,
	853,
	GOOD_PORT,
	8001,
	8002,
	8003,
	8004,
	8005,
	ALLOWED_LOOPBACK_PORT,
	8007,
	8010,
	9080,
	9081,
];

/** Even where every public address is allowed. */
const special = (name: string, address: string): NetworkAttack => ({
	name: `unrestricted, yet not ${name}`,
	script: ({ port, token }) => {
		const text = address.includes(":") ? `[${address}]` : address;
		return `${tcp(address, port, token)}\n${toProxy(`CONNECT ${text}:${port} HTTP/1.1\r\nHost: ${text}:${port}\r\n\r\n${token}`)}`;
	},
	refusal: { method: "CONNECT", reason: "DNS_DENIED" },
	...(address === "0.0.0.0" ? {} : { bites: "yes" }),
});

const SPECIAL_ATTACKS: readonly NetworkAttack[] = [
	special("the metadata address", "169.254.169.254"),
	special("a private 10/8 address", "10.200.0.1"),
	special("a private 172.16/12 address", "172.20.0.1"),
	special("a private 192.168/16 address", "192.168.0.1"),
	special("the carrier range", "100.64.0.1"),
	special("this network", "0.1.2.3"),
	special("a future address", "240.0.0.1"),
	special("IPv6 private", "fd00:ec2::254"),
	special("IPv6 site-local", "fec0::1"),
	special("NAT64", "64:ff9b::a00:1"),
	special("6to4", "2002:a00:1::1"),
	special("Teredo", "2001:0:a00:1::1"),
	special("IPv4-compatible", "::a00:1"),
	{
		name: "unrestricted reaches the public",
		script: ({ token }) => tcp("93.184.216.34", GOOD_PORT, token),
		arrives: "token",
	},
];

export const BATCHES: readonly Batch[] = [
	{
		name: "allowlist",
		rules: RULES,
		names: NAMES_OUTSIDE,
		attacks: [...DIRECT_ATTACKS, ...NAMED_ATTACKS, ...KERNEL_ATTACKS],
		manner: "together",
		ports: WORLD_PORTS,
		firstPort: 20_000,
	},
	{
		name: "unrestricted",
		rules: { mode: "unrestricted", allow: [], deny: [], http: [] },
		names: NAMES_OUTSIDE,
		attacks: SPECIAL_ATTACKS,
		manner: "together",
		ports: WORLD_PORTS,
		firstPort: 21_000,
	},
	{
		name: "floods",
		rules: RULES,
		names: NAMES_OUTSIDE,
		attacks: FLOOD_ATTACKS,
		manner: "one by one",
		ports: WORLD_PORTS,
		firstPort: 22_000,
	},
	...REPLAYED_BATCHES,
];
