import { defineFailures } from "../core/index.ts";

export const { table, failure, fail } = defineFailures({
	"cli.settings-invalid": {
		audience: "operator",
		retry: "never",
		status: 400,
		sentence: "Reading the settings: {problems}. Nothing was started.",
	},
	"cli.not-enrolled": {
		audience: "operator",
		retry: "never",
		status: 400,
		sentence:
			"Reading what enrolling wrote: there is no {path}. Run `vouch agent enroll --server URL --token TOKEN` first, or name the settings with --config.",
	},
	"cli.no-server": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence:
			"Asking a control plane: none is known. Run `vouch login URL`, or set VOUCH_SERVER and VOUCH_TOKEN_FILE; `vouch up` starts one here.",
	},
	"cli.no-token": {
		audience: "caller",
		retry: "never",
		status: 401,
		sentence: "Asking {server}: there is no token for it. Run `vouch login {server}`, or set VOUCH_TOKEN_FILE.",
	},
	"cli.token-open-to-others": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence:
			"Reading the token in {path}: others may read that file. Run `chmod 600 {path}`, and revoke the token if somebody may have it.",
	},
	"cli.login-unreadable": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "Reading {path}: {problem}. Run `vouch login` again.",
	},
	"cli.no-facility": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence:
			"Submitting: there is no facility to run it in. Run `vouch facility create --empty --name app`, then submit again.",
	},
	"cli.no-diff": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence:
			"Reading the diff of directive {directive}: {why}. `vouch show {directive}` lists the paths that it changed.",
	},
	"cli.no-artifact": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "Getting the artifact {name} of {id}: {why}. `vouch artifacts {id}` lists those that there are.",
	},
	"cli.name-unclear": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "Looking up the {kind} {name}: {problem}. Give its id; `vouch {list}` lists them.",
	},
	"cli.usage": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "{problem}",
	},
	"cli.run-not-found": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "Looking up run {run}: no run has that id or begins with it. `vouch runs` lists them.",
	},
	"cli.run-ambiguous": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "Looking up run {run}: {count} runs begin with that. Give more of the id; `vouch runs` lists them.",
	},
	"cli.workspace-unusable": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence:
			"Using {path} as the workspace: {problem}. Give an existing folder with --workspace, or --workspace none.",
	},
	"cli.receipt-not-copied": {
		audience: "caller",
		retry: "never",
		status: 500,
		sentence: "Copying the receipt to {path}: {problem}. The command has run; its receipt is {receipt}.",
	},
	"cli.secret-unset": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence:
			"Passing {name} into the run: it is not set in this environment. Export it first, or give --env {name}=VALUE.",
	},
	"cli.policy-unreadable": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "Reading the policy {path}: {problem}. Nothing was run; mend the file, or give another with --policy.",
	},
	"cli.denied": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence: "The policy refuses this run: {reasons} Nothing was run.",
	},
	"cli.approval-needed": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence:
			"This run needs a person's approval and there is no terminal to ask at: {reasons} Nothing was run; start it from a terminal, or change the policy.",
	},
	"cli.approval-rejected": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence: "{approver} rejected workload {workload}. Nothing was run.",
	},
	"cli.rules-invalid": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "Reading the network rules: {problems} Nothing was run.",
	},
	"cli.no-driver": {
		audience: "operator",
		retry: "never",
		status: 501,
		sentence:
			"No isolation on this machine can keep what this run demands. {problems} `vouch doctor` says what is missing.",
	},
	"cli.files-unusable": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"Working with {path}: {problem}. Where Vouch keeps its files is said by XDG_DATA_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR and TMPDIR.",
	},
	"cli.file-unreadable": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "Reading {path}: {problem}. Check the path and its permissions.",
	},
	"cli.key-unusable": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "Reading the public key {path}: {problem}. `vouch key show` prints one in the right form.",
	},
	"cli.no-output-kept": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "Reading the output of run {run}: it was not kept. The receipt still holds its digest.",
	},
	"cli.image-not-found": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence:
			"Looking up the image {image}: there is none by that name or digest. `vouch image ls` lists those there are.",
	},
	"cli.cannot-listen": {
		audience: "operator",
		retry: "never",
		status: 503,
		sentence:
			"Listening on {address}: {problem}. Give another with --port (0 takes a free one), or see who has it with `ss -ltnp`.",
	},
	"cli.helper-missing": {
		audience: "operator",
		retry: "never",
		status: 503,
		sentence: "Installing: the helper {path} is not there. Build it: bash {script}",
	},
	"cli.install-failed": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "Installing into {root}: {problem}. What was written is whole; mend that and install again.",
	},
	"cli.backup-in-the-way": {
		audience: "operator",
		retry: "never",
		status: 409,
		sentence:
			"Backing up or restoring: {path} is there already, and nothing is overwritten. Name another place, or move it away.",
	},
	"cli.backup-missing": {
		audience: "operator",
		retry: "never",
		status: 404,
		sentence: "Restoring: {path} is no folder of `vouch server backup`: it holds no store.sqlite. Check the path.",
	},
	"cli.agent-enrolled": {
		audience: "operator",
		retry: "never",
		status: 409,
		sentence:
			"Enrolling: {path} says that this folder is a territory's already. Give another with --data, or remove it.",
	},
	"cli.agent-running": {
		audience: "operator",
		retry: "never",
		status: 409,
		sentence:
			"Starting a node in {directory}: process {pid} is one already. End it first, or give another folder with --data.",
	},
	"cli.create-exists": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "Creating {path}: there is something by that name already. Choose another name, or remove it.",
	},
	"cli.create-failed": {
		audience: "operator",
		retry: "unknown",
		status: 500,
		sentence: "Creating {path}: {reason}. Nothing was left there; mend that and try again.",
	},
});
