import { defineFailures } from "../core/index.ts";

export const {
	failure,
	fail,
	table: egressFailures,
} = defineFailures({
	"invalid-network-rule": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "The network rule {rule} can't be used: {problem}. {fix}",
	},
	"invalid-upstream-proxy": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence: "The upstream proxy {proxy} can't be used: {problem}. Set HTTPS_PROXY to http://host:port, or unset it.",
	},
	"gate-socket-path-too-long": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"The network gate can't listen on {path}: Unix socket paths end at {limit} bytes. Use a shorter run directory.",
	},
	"gate-not-listening": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "The network gate could not listen on {where}: {problem}. Check that the folder exists and is writable.",
	},
});
