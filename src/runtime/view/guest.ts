/** Who a workload is, inside. The ids are mapped to whoever runs Vouch, so that the workspace stays theirs. */
export const GUEST = {
	user: "vouch",
	userId: 1000,
	groupId: 1000,
	home: "/home/vouch",
	hostname: "vouch",
} as const;

/** Set for every workload; its own variables come after and win. */
export const BASE_ENVIRONMENT: Readonly<Record<string, string>> = {
	HOME: GUEST.home,
	LANG: "C.UTF-8",
	LOGNAME: GUEST.user,
	PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	TMPDIR: "/tmp",
	USER: GUEST.user,
};
