import { defineFailures } from "../../core/index.ts";

/** What a client meets beside the refusals of the API (`../failures.ts`), which it throws as they are. */
export const clientFailures = defineFailures({
	"client.unreachable": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "{what} at {server}: {problem}. Check the address, and that the control plane runs.",
	},
	"client.answer-unreadable": {
		audience: "operator",
		retry: "unknown",
		status: 502,
		sentence: "{what} at {server}: the answer ({status}) is not a control plane's: {problem}. Check the address.",
	},
	"client.cut-off": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence: "{what} at {server}: the connection ended in the middle: {problem}. Ask again.",
	},
});
