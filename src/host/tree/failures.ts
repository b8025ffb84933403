import { defineFailures } from "../../core/index.ts";

export const { table: treeFailures, fail } = defineFailures({
	"tree-root-unreadable": {
		audience: "caller",
		retry: "safe",
		status: 422,
		sentence:
			"The folder {root} could not be read to take its digest: {cause}. Name a folder that exists and that you may read.",
	},
	"tree-cache-inside": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence:
			"The digest cache {cacheFile} lies inside the folder {root} that it describes, where the workload could rewrite it. Keep it in Vouch's own data folder.",
	},
	"tree-hashing-failed": {
		audience: "bug",
		retry: "safe",
		status: 500,
		sentence:
			"A thread that hashes files of a workspace ended before it answered: {cause}. Run it again; report it if it recurs.",
	},
});
