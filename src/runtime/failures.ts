import { defineFailures } from "../core/index.ts";

/** What can keep a workload from running, in the words of the person who asked for it. */
export const failures = defineFailures({
	"driver-not-available": {
		audience: "operator",
		retry: "never",
		status: 503,
		sentence: "{driver} can't isolate on this machine: {reason}. {fix}",
	},
	"guarantee-not-kept": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"The workload demands {guarantee}, which {driver} does not keep: {reason}. Ask for another isolation or drop the demand.",
	},
	"limit-not-enforceable": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence:
			"The limit {limit} can't be enforced here: {reason}. Leave the limit out or run where control groups are writable.",
	},
	"isolation-not-accepted": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Running without isolation was not accepted: add --accept-no-isolation to `--isolation host` if you mean it.",
	},
	"start-failed": {
		audience: "operator",
		retry: "unknown",
		status: 500,
		sentence: "Starting the sandbox: {problem}. The command was not run; `vouch doctor` checks this machine.",
	},
	"image-needs-isolation": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{driver} runs on the host's own files and can't use an image. Ask for bwrap or container.",
	},
	"template-not-made": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence:
			"Saving a machine of image {image} asleep: {reason}. Runs of it boot as before; `vouch doctor` checks this machine.",
	},
	"pool-exists": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence:
			"Keeping machines ready at {socket}: another process keeps the same ones, or the place can't be listened at. Use that one, or end it.",
	},
	"pool-gone": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence:
			"Taking a machine from the pool at {socket}: {reason}. End the process that keeps it, and runs boot machines of their own.",
	},
	"image-needed": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"{driver} boots an image with a kernel of its own, and this run has none: name one with --image, or build one, as with `vouch image build debian:bookworm --name base`.",
	},
	"secrets-not-taken": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{driver} can't give a workload secrets as files in memory. Ask for bwrap or container.",
	},
	"root-not-taken": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{driver} can't use a root that is {shape}. It takes: {taken}.",
	},
	"emulation-not-asked-for": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"{driver} would have to emulate the machine, which is slow ({reason}), and was not asked for: --isolation vm takes it all the same.",
	},
	"access-not-enforceable": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{driver} can't keep {what}. Ask for bwrap or container.",
	},
	"workspace-not-possible": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{source} can't be the workspace: {reason}. Choose a folder of its own for the work.",
	},
	"environment-not-possible": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"The variable {name} can't be handed to a container: its value has a line break. Use bwrap or encode the value.",
	},
	"driver-unknown": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "There is no isolation named {driver} here. There are: {known}.",
	},
	"image-not-readable": {
		audience: "caller",
		retry: "unknown",
		status: 422,
		sentence: "The image {reference} could not be read: {reason}.",
	},
});
