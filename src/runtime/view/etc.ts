/**
 * `/etc` of a workload: what is public on every machine, and a few files of its own. Never the users, hosts, keys and
 * services of the machine it runs on.
 */
import { RESOLVER_CONFIGURATION } from "../../egress/index.ts";
import { GUEST } from "./guest.ts";

/** Names below the host's `/etc` that hold nothing but what its packages brought. `ssl/private` is why `ssl` isn't one. */
const PUBLIC: readonly RegExp[] = [
	/^\/etc\/ssl\/(?:certs|openssl\.cnf|ct_log_list\.cnf)$/,
	/^\/etc\/(?:ca-certificates|ca-certificates\.conf|pki)$/,
	/^\/etc\/(?:ld\.so\.cache|ld\.so\.conf|ld\.so\.conf\.d)$/,
	/^\/etc\/(?:alternatives|localtime|timezone|locale\.alias|locale\.conf|fonts|magic|magic\.mime|inputrc|terminfo)$/,
	/^\/etc\/(?:mime\.types|protocols|services|rpc|ethertypes|gai\.conf|host\.conf|debian_version|os-release)$/,
	/^\/etc\/(?:perl|python3(?:\.\d+)?|java-\d+-openjdk|node|php|openal|gtk-3\.0)$/,
];

export function isPublicEtc(path: string): boolean {
	return PUBLIC.some((pattern) => pattern.test(path));
}

/** Files written for every workload, whatever its root. */
export function generatedEtc(): ReadonlyMap<string, string> {
	const { user, userId, groupId, home, hostname } = GUEST;
	return new Map([
		["/etc/group", `root:x:0:\n${user}:x:${groupId}:\nnogroup:x:65534:\n`],
		["/etc/hostname", `${hostname}\n`],
		["/etc/hosts", `127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 ${hostname}\n`],
		[
			"/etc/nsswitch.conf",
			"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		],
		[
			"/etc/passwd",
			`root:x:0:0:root:/:/usr/sbin/nologin\n${user}:x:${userId}:${groupId}::${home}:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n`,
		],
		["/etc/resolv.conf", RESOLVER_CONFIGURATION],
	]);
}
