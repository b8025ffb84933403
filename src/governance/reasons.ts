/**
 * Every reason a decision can give: what fired, and what to change. `{source}` is the policy's path. Codes are stable:
 * scripts and receipts rely on them.
 */
const SENTENCES = {
	"isolation-denied": "{source} denies isolation `{driver}` (isolation.deny). Choose another with --isolation.",
	"isolation-not-allowed":
		"{source} allows isolation {allowed} only, and this run has `{driver}`. Choose one of them with --isolation.",
	"isolation-approval": "{source} wants a person's approval for isolation `{driver}` (isolation.approve).",
	"network-mode-not-allowed":
		"{source} allows network mode {allowed} only (network.modes), and this run has `{mode}`. Change --net or the list.",
	"destination-denied":
		"{source} denies {entry} (network.deny), which {requested} reaches. Leave {requested} out, or add --deny {entry}.",
	"destination-not-allowed":
		"{source} does not allow {requested} (network.allow). Ask for less with --allow, or add it to that list.",
	"destination-approval":
		"{source} wants a person's approval for {entry} (network.approve), which {requested} reaches.",
	"destination-unreadable": "The network rule {requested} can't be judged: {problem}. Correct it.",
	"write-denied":
		"{source} denies writing {entry} (paths.write.deny), and this run could write everything below {requested}. {fix}",
	"write-not-allowed": "{source} does not allow writing {requested} (paths.write.allow). {fix}",
	"write-approval": "{source} wants a person's approval for writing {entry} (paths.write.approve).",
	"read-denied": "{source} denies reading {entry} (paths.read.deny), which {requested} shows. {fix}",
	"read-not-allowed": "{source} does not allow reading {requested} (paths.read.allow). {fix}",
	"read-approval": "{source} wants a person's approval for reading {entry} (paths.read.approve).",
	"command-denied": "{source} denies the command `{entry}` (commands.deny), which this run has: {requested}.",
	"command-not-allowed":
		"{source} does not allow the command {requested} (commands.allow). Run an allowed one, or add a pattern to that list.",
	"command-approval": "{source} wants a person's approval for the command `{entry}` (commands.approve): {requested}.",
	"command-forbidden":
		"The command has a forbidden shape: {label}. Without isolation nothing would hold it; run it in a sandbox, or without that.",
	"command-doubtful":
		"The command would run without isolation and has a shape that needs a person's approval: {label}.",
	"limit-above-maximum":
		"{source} allows at most {maximum} of {written} (limits.max), and this run has {asked}. Give {flag} a value within it.",
	"approval-forbidden": "{source} forbids it: {reason} (approval.{key}).",
	"approval-needed": "{source} wants a person's approval: {reason} (approval.{key}).",
	"policy-allows": "{source} has no rule against this run.",
	"built-in-policy":
		"No policy was found; the built-in one allows a command in a sandbox, with what the command line gives it.",
	"host-accepted": "The command runs on this machine without isolation because the command line accepts that.",
	"network-asked": "The network is `{mode}` because the command line asked for it.",
} as const;

export type ReasonCode = keyof typeof SENTENCES;

export interface Reason {
	readonly code: ReasonCode;
	readonly sentence: string;
}

export interface Finding {
	readonly verdict: "deny" | "needs-approval";
	readonly reason: Reason;
}

export function reason(code: ReasonCode, details: Readonly<Record<string, string>> = {}): Reason {
	const sentence = SENTENCES[code].replace(/\{(\w+)\}/g, (_, name: string) => details[name] ?? `(${name} unknown)`);
	return { code, sentence };
}

export function deny(code: ReasonCode, details: Readonly<Record<string, string>>): Finding {
	return { verdict: "deny", reason: reason(code, details) };
}

export function needsApproval(code: ReasonCode, details: Readonly<Record<string, string>>): Finding {
	return { verdict: "needs-approval", reason: reason(code, details) };
}
