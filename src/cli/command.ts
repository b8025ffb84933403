/** A command is one row: flags, help, examples, completion and the reference page derive from it. */
export interface CommandRow {
	/** Words after `vouch`: `["journal", "verify"]`. */
	readonly path: readonly [string, ...string[]];
	readonly summary: string;
	readonly description: string;
	readonly operands: readonly Operand[];
	readonly flags: readonly Flag[];
	readonly examples: readonly Example[];
	/** Loaded only when the command runs: start-up stays short. */
	readonly load: () => Promise<Action>;
}

export interface Operand {
	readonly name: string;
	readonly summary: string;
	readonly presence: "required" | "optional" | "one-or-more";
	readonly completes: Known | "file" | "nothing";
	/** Fixed values, offered by completion and checked on the way in. */
	readonly choices?: readonly string[];
}

export interface Flag {
	readonly name: `--${string}`;
	readonly short?: `-${string}`;
	/** Placeholder of its value; a flag without one is a switch. */
	readonly value?: string;
	readonly repeats?: "repeats";
	readonly summary: string;
	/** Fixed values, offered by completion and checked on the way in. */
	readonly choices?: readonly string[];
	readonly completes?: Known | "file" | "directory";
}

/** What has names that Vouch knows, and the commands that print them, one a line. */
export const KNOWN = {
	run: ["runs --ids"],
	run_or_directive: ["runs --ids", "directives --ids"],
	image: ["image ls --names"],
	directive: ["directives --ids"],
	facility: ["facility ls --ids"],
	territory: ["territories --ids"],
	entity: ["entities --ids"],
	policy: ["policies --ids"],
	command: ["commands --ids"],
	enrollment_token: ["tokens enrollments --ids"],
	token: ["tokens --ids"],
	user: ["users --ids"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type Known = keyof typeof KNOWN;

export interface Example {
	readonly command: string;
	readonly says: string;
}

/** Exit code of the command. Failures are thrown as VouchError. */
export type Action = (invocation: Invocation) => Promise<number>;

export interface Invocation {
	readonly operands: readonly string[];
	readonly flags: FlagValues;
}

/** What was given for each flag, by its name with the dashes. */
export class FlagValues {
	readonly #values: ReadonlyMap<string, readonly string[]>;
	constructor(values: ReadonlyMap<string, readonly string[]>) {
		this.#values = values;
	}
	has(name: Flag["name"]): boolean {
		return this.#values.has(name);
	}
	/** The last value given, or undefined. */
	text(name: Flag["name"]): string | undefined {
		return this.#values.get(name)?.at(-1);
	}
	all(name: Flag["name"]): readonly string[] {
		return this.#values.get(name) ?? [];
	}
}

export const jsonFlag: Flag = { name: "--json", summary: "print JSON instead of text" };
