import { defineFailures } from "../../core/index.ts";

export const { table: workspaceDiskFailures, fail } = defineFailures({
	"disk-source-unreadable": {
		audience: "caller",
		retry: "safe",
		status: 422,
		sentence: "{source} could not be put on a disk for the guest: {cause}. Name a folder or file that you may read.",
	},
	"disk-too-large": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"{source} is too large for the guest's disk: {what}. Run in a smaller folder, or with an isolation that shares the host's files.",
	},
	"disk-not-written": {
		audience: "operator",
		retry: "unknown",
		status: 503,
		sentence: "The guest's disk {path} could not be made: {cause}. Look at the space left there and run it again.",
	},
	"changes-malformed": {
		audience: "operator",
		retry: "unknown",
		status: 502,
		sentence:
			"The guest's list of changed files was refused at {entry}: {cause}. Nothing of it was brought into the workspace.",
	},
	"changes-too-large": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"The guest changed too much of the workspace at {entry}: {cause}. Nothing of it was brought back; raise the limit or write less.",
	},
	"changes-cut-short": {
		audience: "operator",
		retry: "unknown",
		status: 502,
		sentence:
			"The guest stopped in the middle of its changed files, after {entry}. Nothing of them was brought into the workspace.",
	},
	"changes-timed-out": {
		audience: "operator",
		retry: "unknown",
		status: 504,
		sentence:
			"The guest took too long to hand over its changed files: {cause}. Nothing of them was brought into the workspace.",
	},
	"workspace-exchanged": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence:
			"The workspace {folder} is another folder now than when the run began. The guest's changes were not brought into it.",
	},
});
