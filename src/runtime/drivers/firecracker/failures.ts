import { defineFailures } from "../../../core/index.ts";

export const { table: firecrackerFailures, fail } = defineFailures({
	"firecracker-refused": {
		audience: "operator",
		retry: "unknown",
		status: 502,
		sentence: "Firecracker refused {call}: {reason}. Look at its version with `vouch doctor`, or ask for qemu.",
	},
	"firecracker-silent": {
		audience: "operator",
		retry: "unknown",
		status: 504,
		sentence: "Firecracker did not answer {call} in {timeoutMs} ms. Look at the load of the machine and run it again.",
	},
	"firecracker-lost": {
		audience: "operator",
		retry: "unknown",
		status: 502,
		sentence: "Firecracker ended during {call}: {reason}. Run it again; ask for qemu if it recurs.",
	},
	"guest-not-listening": {
		audience: "operator",
		retry: "unknown",
		status: 504,
		sentence:
			"The guest did not take a connection within {timeoutMs} ms: {reason}. Give it more time or cores, or ask for qemu.",
	},
	"jail-not-made": {
		audience: "operator",
		retry: "unknown",
		status: 503,
		sentence:
			"The jail of a Firecracker machine could not be filled with {file}: {reason}. Look at the space left and run it again.",
	},
});
