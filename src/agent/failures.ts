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
		sentence: "The control plane could not be reached for {what}: {problem}. Check its address, and that it runs.",
	},
	"not-placed": {
		audience: "operator",
		retry: "never",
		status: 501,
		sentence: "This node can't keep what the directive asks for. {problems} Nothing was run.",
	},
	"secret-unavailable": {
		audience: "operator",
		retry: "unknown",
		status: 503,
		sentence: "Giving the secret {secret}: {problem}. The command was not run.",
	},
	"image-unavailable": {
		audience: "operator",
		retry: "unknown",
		status: 503,
		sentence: "Getting the image {image}: {problem} The command was not run.",
	},
	"not-prepared": {
		audience: "caller",
		retry: "unknown",
		status: 502,
		sentence: "Preparing the facility: {problem} The command was not run.",
	},
});
