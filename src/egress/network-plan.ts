import type { NetworkSpec } from "../host/index.ts";

/** Addresses of the two ends. The /24 and /64 hold nothing else; the sandbox sees them in every run. */
export const GATE_ADDRESS = "10.0.2.1";
export const GATE_ADDRESS_6 = "fd00:766f::1";
const SANDBOX_ADDRESS = "10.0.2.2";
const SANDBOX_ADDRESS_6 = "fd00:766f::2";

/** Where the gate speaks HTTP proxy and SOCKS5. */
export const PROXY_PORT = 9080;
export const DNS_PORT = 53;
/** Where the firewall sends every TCP connection of the sandbox. */
const REDIRECT_PORT = 9081;

const GATE_INTERFACE = "gate0";
const SANDBOX_INTERFACE = "eth0";

/** Locally administered (second bit of the first byte), fixed: two runs never share a network. */
const GATE_MAC = "02:76:6f:00:00:01";
const SANDBOX_MAC = "02:76:6f:00:00:02";

export interface NetworkPlanRequest {
	readonly gateSocket: string;
	readonly loopbackListeners: NetworkSpec["loopbackListeners"];
	readonly maxConnections: number;
}

/**
 * The two namespaces of a run as text that `ip -batch` and `nft -f` read. Neighbours are permanent and duplicate
 * detection is off, so neither end waits for an answer before the first packet.
 */
export function planNetwork(request: NetworkPlanRequest): NetworkSpec {
	return {
		gateCommands: GATE_COMMANDS,
		sandboxCommands: SANDBOX_COMMANDS,
		firewall: FIREWALL,
		redirectPort: REDIRECT_PORT,
		resolverAddress: GATE_ADDRESS,
		gateInterface: GATE_INTERFACE,
		sandboxInterface: SANDBOX_INTERFACE,
		loopbackListeners: request.loopbackListeners,
		gateSocket: request.gateSocket,
		maxConnections: request.maxConnections,
	};
}

// The routes of type local make every address in the world this namespace's own: nothing is ever forwarded.
const GATE_COMMANDS = `link set lo up
link add ${GATE_INTERFACE} address ${GATE_MAC} type veth peer name ${SANDBOX_INTERFACE} address ${SANDBOX_MAC} netns @SANDBOX_PID@
link set ${GATE_INTERFACE} addrgenmode none
address add ${GATE_ADDRESS}/24 dev ${GATE_INTERFACE}
address add ${GATE_ADDRESS_6}/64 dev ${GATE_INTERFACE} nodad
link set ${GATE_INTERFACE} up
neighbour replace ${SANDBOX_ADDRESS} lladdr ${SANDBOX_MAC} dev ${GATE_INTERFACE} nud permanent
neighbour replace ${SANDBOX_ADDRESS_6} lladdr ${SANDBOX_MAC} dev ${GATE_INTERFACE} nud permanent
route add local 0.0.0.0/0 dev lo table main
route add local ::/0 dev lo table main
`;

const SANDBOX_COMMANDS = `link set lo up
link set ${SANDBOX_INTERFACE} addrgenmode none multicast off
address add ${SANDBOX_ADDRESS}/24 dev ${SANDBOX_INTERFACE}
address add ${SANDBOX_ADDRESS_6}/64 dev ${SANDBOX_INTERFACE} nodad
link set ${SANDBOX_INTERFACE} up
neighbour replace ${GATE_ADDRESS} lladdr ${GATE_MAC} dev ${SANDBOX_INTERFACE} nud permanent
neighbour replace ${GATE_ADDRESS_6} lladdr ${GATE_MAC} dev ${SANDBOX_INTERFACE} nud permanent
route add default via ${GATE_ADDRESS} dev ${SANDBOX_INTERFACE}
route add default via ${GATE_ADDRESS_6} dev ${SANDBOX_INTERFACE}
`;

// The reject lets refused datagrams fail at once in the sandbox instead of after a program's own time limit.
const FIREWALL = `table inet vouch {
	chain redirected {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "${GATE_INTERFACE}" meta l4proto tcp redirect to :${REDIRECT_PORT}
	}
	chain arriving {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		iifname "${GATE_INTERFACE}" tcp dport ${REDIRECT_PORT} accept
		iifname "${GATE_INTERFACE}" ip daddr ${GATE_ADDRESS} udp dport ${DNS_PORT} accept
		iifname "${GATE_INTERFACE}" meta l4proto udp reject with icmpx type admin-prohibited
	}
	chain passing {
		type filter hook forward priority filter; policy drop;
	}
	chain leaving {
		type filter hook output priority filter; policy drop;
		oifname "lo" accept
		ct state established,related accept
	}
}
`;

/** Text of /etc/resolv.conf in the sandbox. */
export const RESOLVER_CONFIGURATION = `nameserver ${GATE_ADDRESS}\noptions timeout:2 attempts:2\n`;

/**
 * Proxy variables of the sandbox. They only make refusals readable: programs that ignore them reach the same gate.
 * Loopback is excepted because allowed loopback destinations are listened for inside the sandbox.
 */
export function gateEnvironment(): Readonly<Record<string, string>> {
	const proxy = `http://${GATE_ADDRESS}:${PROXY_PORT}`;
	const local = "localhost,127.0.0.1,::1";
	return {
		ALL_PROXY: proxy,
		HTTPS_PROXY: proxy,
		HTTP_PROXY: proxy,
		NO_PROXY: local,
		all_proxy: proxy,
		http_proxy: proxy,
		https_proxy: proxy,
		no_proxy: local,
	};
}
