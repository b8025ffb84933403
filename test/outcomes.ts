import { relative, resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

interface Failed {
	readonly title: string;
	readonly place: string;
	readonly why: string;
}

interface FileTally {
	passed: number;
	failed: number;
	skipped: number;
	/** What the file's process wrote, shown only when something in it failed. */
	output: string;
}

/** Output of one file kept for the report of its failures. */
const OUTPUT_LIMIT_CHARS = 20_000;

/** Collects the runner's events; prints a line when a file ends, and the whole account at the end. */
export class Outcomes {
	readonly #root: string;
	/** When titles select the tests, a file without a match is not worth a line. */
	readonly #selection: "files" | "titles";
	readonly #files = new Map<string, FileTally>();
	readonly #failures: Failed[] = [];
	readonly #skips = new Map<string, string[]>();
	#passed = 0;
	#skipped = 0;

	constructor(root: string, selection: "files" | "titles") {
		this.#root = root;
		this.#selection = selection;
	}

	note(event: TestEvent): void {
		if (event.type === "test:stdout" || event.type === "test:stderr") {
			const tally = this.#tally(entryOf(event.data));
			if (tally.output.length < OUTPUT_LIMIT_CHARS) tally.output += event.data.message;
		} else if (event.type === "test:pass") {
			this.#pass(event.data);
		} else if (event.type === "test:fail") {
			this.#fail(event.data);
		} else if (event.type === "test:summary" && event.data.file !== undefined) {
			this.#fileEnded(entryOf(event.data), event.data.duration_ms);
		}
	}

	#pass(data: Extract<TestEvent, { type: "test:pass" }>["data"]): void {
		if (data.details.type === "suite" || (this.#isFile(data) && this.#selection === "titles")) return;
		const tally = this.#tally(entryOf(data));
		const place = `${this.#path(data.file)}:${data.line ?? 0}`;
		const fault = this.#isFile(data) ? "holds no test" : faultOfPass(data);
		if (fault !== undefined) {
			this.#add(tally, { title: data.name, place, why: fault });
		} else if (typeof data.skip === "string") {
			this.#skipped += 1;
			tally.skipped += 1;
			this.#skips.set(data.skip, [...(this.#skips.get(data.skip) ?? []), `${data.name}  (${place})`]);
		} else {
			this.#passed += 1;
			tally.passed += 1;
		}
	}

	#fail(data: Extract<TestEvent, { type: "test:fail" }>["data"]): void {
		const error: Error & { failureType?: string } = data.details.error;
		// A parent fails because a child did, and the child is already here.
		if (error.failureType === "subtestsFailed") return;
		const tally = this.#tally(entryOf(data));
		const isFile = this.#isFile(data);
		const cause =
			error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : inspect(error.cause ?? error);
		this.#add(tally, {
			title: isFile ? "the file itself" : data.name,
			place: `${this.#path(data.file)}:${data.line ?? 0}`,
			why: isFile ? `its process ended badly (${error.message})` : cause,
		});
		// A file that died has no summary of its own.
		if (isFile) this.#fileEnded(data.file, data.details.duration_ms);
	}

	/** The runner reports a file as a test of its own when it holds none, or died. */
	#isFile(data: { readonly name: string; readonly file?: string }): boolean {
		return data.file !== undefined && resolve(this.#root, data.name) === data.file;
	}

	#add(tally: FileTally, failed: Failed): void {
		tally.failed += 1;
		this.#failures.push(failed);
	}

	#fileEnded(file: string | undefined, durationMs: number): void {
		const tally = this.#tally(file);
		const count = tally.passed + tally.failed + tally.skipped;
		if (count === 0 && this.#selection === "titles") return;
		const parts = [`${tally.passed} passed`];
		if (tally.failed > 0) parts.push(`${tally.failed} FAILED`);
		if (tally.skipped > 0) parts.push(`${tally.skipped} skipped`);
		const mark = tally.failed > 0 ? "✖" : "✔";
		process.stdout.write(`${mark} ${this.#path(file)}  ${parts.join(", ")}  ${(durationMs / 1000).toFixed(1)} s\n`);
		if (tally.failed > 0 && tally.output !== "") process.stdout.write(`${indented(tally.output.trimEnd())}\n`);
	}

	/** Failures, skips and the closing line that CI reads. */
	closing(): string {
		const blocks: string[] = [];
		for (const { title, place, why } of this.#failures) blocks.push(`✖ ${title}\n  ${place}\n${indented(why)}`);
		if (this.#skips.size > 0) {
			const groups = [...this.#skips].map(
				([reason, titles]) => `  ${titles.length} × ${reason}\n${indented(titles.join("\n"))}`,
			);
			blocks.push(`Skipped, with the reason of each:\n${groups.join("\n")}`);
		}
		if (this.#count() === 0) blocks.push("No test matches.");
		blocks.push(`${this.#passed} passed, ${this.#failures.length} failed, ${this.#skipped} skipped`);
		return `\n${blocks.join("\n\n")}\n`;
	}

	exitCode(): number {
		return this.#failures.length > 0 || this.#count() === 0 ? 1 : 0;
	}

	#count(): number {
		return this.#passed + this.#failures.length + this.#skipped;
	}

	#path(file: string | undefined): string {
		return file === undefined ? "(no file)" : relative(this.#root, file);
	}

	#tally(file: string | undefined): FileTally {
		const key = this.#path(file);
		const tally = this.#files.get(key) ?? { passed: 0, failed: 0, skipped: 0, output: "" };
		this.#files.set(key, tally);
		return tally;
	}
}

/** The file that was run: a suite shared by several is defined in a file of its own. */
function entryOf(data: { readonly file?: string | undefined; readonly entryFile?: string }): string | undefined {
	return data.entryFile ?? data.file;
}

/** What the runner lets pass and this suite doesn't. */
function faultOfPass(data: { readonly skip?: string | boolean; readonly todo?: string | boolean }): string | undefined {
	if (data.skip === true || data.skip === "") return "skipped without a reason";
	if (data.todo !== undefined && data.todo !== false) return "marked as todo: finish it or take it out";
	return undefined;
}

function indented(text: string): string {
	return text.replace(/^/gm, "    ");
}
