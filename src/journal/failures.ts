import { defineFailures } from "../core/index.ts";

export const {
	table: journalFailures,
	failure,
	fail,
} = defineFailures({
	"path-unsafe": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence: "Opening {path}: {why}. {fix}",
	},
	"journal-busy": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "Appending to the journal in {directory}: another process has held its lock for {seconds} s. Try again.",
	},
	"journal-damaged": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"Using the journal in {directory}: {why}. Nothing was appended. `vouch journal verify` names what does not fit.",
	},
	"entry-malformed": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "Appending to the journal: the entry does not fit, {why}.",
	},
	"entry-unknown": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "Proving entry {index} of the journal: it has {size} entries.",
	},
	"key-unusable": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence: "Reading the node key {path}: {why}. Restore it from a copy, or move it away to begin with a new key.",
	},
	"key-changed": {
		audience: "caller",
		retry: "safe",
		status: 409,
		sentence:
			"Rotating the node key {path}: another process changed it meanwhile. See `vouch key show`, then try again.",
	},
});
