import { defineFailures } from "../../core/index.ts";

export const journalFailures = defineFailures({
	"fleet-journal-damaged": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"The journal in the store can't be trusted: {why}. Nothing is appended to it. Compare it with a backup, and find out who changed it.",
	},
});
