import { defineFailures } from "../core/index.ts";

export const agentFailures = defineFailures({
	"control-plane-refused": {
		audience: "operator",
		retry: "never",
		status: 502,
		sentence: "The control plane refused {what} with {status} {code}: {detail}",
	},
	"control-plane-unreachable": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "The control plane could not be reached for {what}: {problem}. It is tried again.",
	},
});
