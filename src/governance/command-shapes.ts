/**
 * Command shapes of conduits section 6.8. The check is textual: it understands no quotes and stops nobody who means
 * harm. It is there to make a person look before something careless runs where no sandbox holds it.
 */

export type CommandProfile = "untrusted" | "trusted" | "host" | "darwin-automation";

export interface CommandLabels {
	readonly verdict: "safe" | "needs_approval" | "forbidden";
	/** Every shape found; the labels are wire values and never change. */
	readonly labels: readonly string[];
}

interface Shape {
	readonly label: string;
	readonly pattern: RegExp;
}

/** In these, blanks are spaces and tabs, `.` does not cross a line and `$` ends any line, as the specification says. */
const FORBIDDEN: readonly Shape[] = [
	{
		label: "recursive rm at filesystem root",
		pattern: /\brm[ \t]+(?:-[a-z]*r[a-z]*[ \t]+(?:-[a-z]*f[a-z]*[ \t]+)?|--recursive\b).*\/[ \t\r]*$/im,
	},
	{
		label: "forced rm at filesystem root",
		pattern: /\brm[ \t]+(?:-[a-z]*f[a-z]*[ \t]+(?:-[a-z]*r[a-z]*[ \t]+)?|--force\b).*\/[ \t\r]*$/im,
	},
	{ label: "filesystem format command", pattern: /\bmkfs\b/ },
	{ label: "direct device write via dd", pattern: /\bdd\b.*\bof[ \t]*=[ \t]*\/dev\// },
	{ label: "privilege escalation via sudo", pattern: /\bsudo\b/ },
	{ label: "privilege escalation via su", pattern: /\bsu[ \t]+-?[ \t]*\w/ },
	{
		label: "setuid/setgid modification",
		// The first alternative is the specification's. The others catch what it misses: `u+s`, `g=rxs`, `-R 4755`, `06755`.
		pattern: new RegExp(
			[
				String.raw`\bchmod[ \t]+[0-7]*s`,
				String.raw`\bchmod(?:[ \t]+-[\w-]+)*[ \t]+[ugoarwxst,+=-]*[+=][rwxt]*s`,
				String.raw`\bchmod(?:[ \t]+-[\w-]+)*[ \t]+0*[2-7][0-7]{3}\b`,
			].join("|"),
			"i",
		),
	},
	{ label: "ownership change to root", pattern: /\bchown[ \t].*root/ },
	{ label: "fork bomb", pattern: /:\s*\(\s*\)\s*\{\s*:\s*\|\s*:\s*&\s*\}\s*;?\s*:/ },
	{ label: "curl-pipe-shell execution", pattern: /\bcurl\b.*\|[ \t]*(?:sh|bash)\b/ },
	{ label: "wget-pipe-shell execution", pattern: /\bwget\b.*\|[ \t]*(?:sh|bash)\b/ },
];

const NEEDS_APPROVAL: readonly Shape[] = [
	{ label: "pipe operator", pattern: /(?<![\\|])\|(?!\|)/ },
	{ label: "command separator (;)", pattern: /(?<!\\);/ },
	{ label: "command substitution $()", pattern: /\$\(/ },
	{ label: "backtick command substitution", pattern: /`[^`]+`/ },
	{ label: "process substitution <()", pattern: /<\(/ },
	{ label: "process substitution >()", pattern: />\(/ },
	{ label: "output redirection", pattern: /(?<!2)>{1,2}[ \t]*[^& \t\r\n]/ },
	{ label: "background execution (&)", pattern: /(?<!&)&(?!&)[ \t\r]*$/m },
];

/** Some shapes take quadratic time on a line made for it: what is longer is refused instead of read. */
const MAX_INSPECTED = 65_536;

/** What is noticed about a command line under a profile. `untrusted` runs in a sandbox: nothing is inspected there. */
export function commandLabels(command: string, profile: CommandProfile): CommandLabels {
	if (profile === "untrusted") return { verdict: "safe", labels: [] };
	const text = command.trim();
	if (text === "") return { verdict: "forbidden", labels: ["empty command"] };
	if (text.length > MAX_INSPECTED) return { verdict: "forbidden", labels: ["command too long to inspect"] };
	const forbidden = labelsOf(FORBIDDEN, text);
	if (forbidden.length > 0) return { verdict: "forbidden", labels: forbidden };
	const doubtful = labelsOf(NEEDS_APPROVAL, text);
	return doubtful.length > 0 ? { verdict: "needs_approval", labels: doubtful } : { verdict: "safe", labels: [] };
}

function labelsOf(shapes: readonly Shape[], text: string): string[] {
	return shapes.filter(({ pattern }) => pattern.test(text)).map(({ label }) => label);
}
