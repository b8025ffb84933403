import { defineFailures } from "../../../core/index.ts";

/** What can go wrong with a hash tree. */
export const { table, fail } = defineFailures({
	"verity-size": {
		audience: "bug",
		retry: "never",
		status: 422,
		sentence:
			"The hash tree of {path} was not made: the file has {size} bytes, and it must be whole blocks of 4096, at least one. Pad it first.",
	},
	"verity-parameters": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"The hash tree of {path} cannot be as described: {reason}. Take the description from the image that the file belongs to.",
	},
	"verity-read": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence:
			"The disk {path} could not be hashed to its end: {reason} Check the disk that it lies on, then try again.",
	},
});
