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
	readonly completes: "file" | "run" | "image" | "nothing";
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
	readonly completes?: "file" | "directory" | "image";
}

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
