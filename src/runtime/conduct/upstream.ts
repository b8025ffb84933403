import { parseUpstreamProxy, type UpstreamProxy } from "../../egress/index.ts";

/** The HTTP proxy that this machine must go through, by the variables that curl(1) reads; null for none. */
export function upstreamProxyOf(environment: NodeJS.ProcessEnv): UpstreamProxy | null {
	const first = (...names: readonly string[]): string =>
		names.map((name) => environment[name]).find((value) => value) ?? "";
	// HTTP_PROXY in capitals is not read for plain HTTP: a web server could be made to set it (CVE-2016-5385).
	const url = first("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY");
	return url === "" ? null : parseUpstreamProxy(url, first("no_proxy", "NO_PROXY"));
}
