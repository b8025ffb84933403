import { defineFailures } from "../../core/index.ts";

export const storeFailures = defineFailures({
	"store-unusable": {
		audience: "operator",
		retry: "unknown",
		status: 503,
		sentence:
			"The store {store} could not be opened: {problem}. Check the address, and that this user may write there.",
	},
	"backup-exists": {
		audience: "operator",
		retry: "never",
		status: 409,
		sentence: "{path} is there already, and nothing is overwritten. Name another place, or move it away.",
	},
	"backup-unusable": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence: "{path} can't be used as a store: {problem}. Check the path, or take another backup.",
	},
});
