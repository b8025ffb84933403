/** Where a facility's repository lies, as far as a gate must know. */
export interface Repository {
	readonly url: string;
	/** `host:port`, as network rules write it. */
	readonly destination: string;
	readonly isSsh: boolean;
	/** The URL without a user or password, for logs. */
	readonly shown: string;
}

const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443", "ssh:": "22", "git:": "9418" };
const SCP_LIKE = /^([^\s@:/-][^\s@:/]*)@([^\s@:/-][^\s@:/]*):([^\s-]\S*)$/;

/** Reads a repository's URL by the rules of conduits section 7.8; undefined for anything that git could take for more than that. */
export function readRepository(url: string): Repository | undefined {
	if (url === "" || /\s/.test(url) || url.startsWith("-") || url.includes("::")) return undefined;
	const scp = SCP_LIKE.exec(url);
	if (scp !== null && !url.includes("://")) {
		const host = scp[2] ?? "";
		if (!host.includes(".") && host !== "localhost") return undefined;
		return { url, destination: `${host}:22`, isSsh: true, shown: `${host}:${scp[3]}` };
	}
	// Stricter than the URL standard, which mends slashes: git reads it by itself.
	if (!/^[a-z]+:\/\/[^/\\?#]/.test(url) || url.includes("\\")) return undefined;
	const parsed = URL.parse(url);
	if (parsed === null || parsed.hostname === "" || parsed.hostname.startsWith("-")) return undefined;
	const port = parsed.port || PORTS[parsed.protocol];
	if (PORTS[parsed.protocol] === undefined || port === undefined) return undefined;
	return {
		url,
		destination: `${parsed.hostname}:${port}`,
		isSsh: parsed.protocol === "ssh:",
		shown: `${parsed.protocol}//${parsed.host}${parsed.pathname}`,
	};
}
