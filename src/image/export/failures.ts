import { defineFailures } from "../../core/index.ts";

/** What can be wrong with an image that comes from elsewhere, or with the place that one is to go to. */
export const { table, failure, fail } = defineFailures({
	"image-foreign": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading {source}: {reason}. It is not an image that `vouch image export` or `push` made; nothing of it was kept.",
	},
	"image-export-exists": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "Exporting to {path}: there is something already. Name a path that is free, or remove what is there.",
	},
	"image-export-failed": {
		audience: "operator",
		retry: "unknown",
		status: 500,
		sentence: "Exporting to {path}: {reason}. Nothing was left there; mend that and export again.",
	},
});
