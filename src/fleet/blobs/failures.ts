import { defineFailures } from "../../core/index.ts";

export const blobFailures = defineFailures({
	"blob-storage-unavailable": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "{what} at {place}: {problem}. Check the bucket, its credentials and the network; nothing was changed.",
	},
	"blob-damaged": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"Reading the blob {digest} at {place}: its bytes are not what its name says. Somebody changed them; restore it from a backup.",
	},
});
