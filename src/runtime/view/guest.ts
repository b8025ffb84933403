import { gateEnvironment } from "../../egress/index.ts";

/** Who a workload is, inside. The ids are mapped to whoever runs Vouch, so that the workspace stays theirs. */
export const GUEST = {
	user: "vouch",
	userId: 1000,
	groupId: 1000,
	home: "/home/vouch",
	hostname: "vouch",
} as const;

/**
 * Set for every workload; its own variables come after and win. Programs that heed the proxy's are told by it why they were
 * refused; the others are caught all the same, and find out by a name that can't be resolved or a connection that is closed.
 */
export const BASE_ENVIRONMENT: Readonly<Record<string, string>> = {
	...gateEnvironment(),
	HOME: GUEST.home,
	LANG: "C.UTF-8",
	LOGNAME: GUEST.user,
	PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	TMPDIR: "/tmp",
	USER: GUEST.user,
};
