/**
 * What a person, a script and a retry loop each need to know of a failure. One table per folder (`failures.ts`);
 * a row is data, so the reference page, HTTP statuses and tests derive from it.
 */
export type Audience = "caller" | "operator" | "bug";
export type Retry = "never" | "safe" | "unknown";
export type NonEmpty<T> = readonly [T, ...T[]];

export interface FailureRow {
	readonly audience: Audience;
	readonly retry: Retry;
	/** HTTP status, RFC 9110. */
	readonly status: number;
	/** What was being done, to what, what was wrong, what to do. `{name}` is replaced by that detail. */
	readonly sentence: string;
}

/** An expected refusal as a value. */
export interface Failure {
	readonly code: string;
	readonly sentence: string;
	readonly details: Readonly<Record<string, string>>;
}

/** A failure on its way up to whoever shows it. Its message is the sentence; the stack is for `audience: "bug"` alone. */
export class VouchError extends Error {
	readonly code: string;
	readonly row: FailureRow;
	readonly details: Readonly<Record<string, string>>;
	constructor(failure: Failure, row: FailureRow, options?: ErrorOptions) {
		super(failure.sentence, options);
		this.name = "VouchError";
		this.code = failure.code;
		this.row = row;
		this.details = failure.details;
	}
}

export function describeFailure(code: string, row: FailureRow, details: Readonly<Record<string, string>>): Failure {
	const sentence = row.sentence.replace(/\{(\w+)\}/g, (_, name: string) => details[name] ?? `(${name} unknown)`);
	return { code, sentence, details };
}

/** Turns a folder's table into its two makers: `failure(code, details)` for a value, `fail(code, details)` to throw. */
export function defineFailures<const Table extends Readonly<Record<string, FailureRow>>>(table: Table) {
	type Code = keyof Table & string;
	const rowOf = (code: Code): FailureRow => {
		const row = table[code];
		if (row === undefined) throw new TypeError(`no failure row ${code}`);
		return row;
	};
	return {
		table,
		failure: (code: Code, details: Readonly<Record<string, string>> = {}): Failure =>
			describeFailure(code, rowOf(code), details),
		fail: (code: Code, details: Readonly<Record<string, string>> = {}, cause?: unknown): VouchError =>
			new VouchError(describeFailure(code, rowOf(code), details), rowOf(code), { cause }),
	};
}
