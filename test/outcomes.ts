import { relative, resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

interface Failed {
	readonly title: string;
	readonly place: string;
	readonly why: string;
}

interface Skipped {
	readonly title: string;
	readonly place: string;
	readonly reason: string;
}

interface FileTally {
	passed: number;
	readonly failed: Failed[];
	readonly skipped: Skipped[];
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
	/** What failed in files that were then run again. */
	readonly #setAside = new Map<string, readonly Failed[]>();

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
			tally.failed.push({ title: data.name, place, why: fault });
		} else if (typeof data.skip === "string") {
			tally.skipped.push({ title: data.name, place, reason: data.skip });
		} else {
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
		tally.failed.push({
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

	/** Files in which something failed, relative to the root. */
	failedFiles(): readonly string[] {
		return [...this.#files].filter(([, { failed }]) => failed.length > 0).map(([file]) => file);
	}

	/** Forgets what these files gave, but for what failed: they are run again. */
	setAside(files: readonly string[]): void {
		for (const file of files) {
			this.#setAside.set(file, this.#files.get(file)?.failed ?? []);
			this.#files.delete(file);
		}
	}

	#fileEnded(file: string | undefined, durationMs: number): void {
		const tally = this.#tally(file);
		const { passed, failed, skipped } = tally;
		if (passed + failed.length + skipped.length === 0 && this.#selection === "titles") return;
		const parts = [`${passed} passed`];
		if (failed.length > 0) parts.push(`${failed.length} FAILED`);
		if (skipped.length > 0) parts.push(`${skipped.length} skipped`);
		const mark = failed.length > 0 ? "✖" : "✔";
		process.stdout.write(`${mark} ${this.#path(file)}  ${parts.join(", ")}  ${(durationMs / 1000).toFixed(1)} s\n`);
		if (failed.length > 0 && tally.output !== "") process.stdout.write(`${indented(tally.output.trimEnd())}\n`);
	}

	/** Failures, skips and the closing line that CI reads. */
	closing(): string {
		const { passed, failed, skipped } = this.#sum();
		const blocks = failed.map(blockOf);
		if (skipped.length > 0) {
			const groups = [...Map.groupBy(skipped, ({ reason }) => reason)].map(([reason, some]) => {
				const titles = some.map(({ title, place }) => `${title}  (${place})`).join("\n");
				return `  ${some.length} × ${reason}\n${indented(titles)}`;
			});
			blocks.push(`Skipped, with the reason of each:\n${groups.join("\n")}`);
		}
		const isFailing = new Set(failed.map(({ place }) => place));
		const unsteady = [...this.#setAside.values()].flat().filter(({ place }) => !isFailing.has(place));
		if (unsteady.length > 0)
			blocks.push("Unsteady, failed beside the others and passed alone; each is a defect:", ...unsteady.map(blockOf));
		if (passed + failed.length + skipped.length === 0) blocks.push("No test matches.");
		blocks.push(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
		return `\n${blocks.join("\n\n")}\n`;
	}

	exitCode(): number {
		const { passed, failed, skipped } = this.#sum();
		return failed.length > 0 || passed + skipped.length === 0 ? 1 : 0;
	}

	#sum(): Pick<FileTally, "passed" | "failed" | "skipped"> {
		const tallies = [...this.#files.values()];
		const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
		const silent = [...this.#setAside].filter(([file]) => !this.#files.has(file)).flatMap(([, failed]) => failed);
		const failed = [...tallies.flatMap((tally) => tally.failed), ...silent];
		return { passed, failed, skipped: tallies.flatMap(({ skipped }) => skipped) };
	}

	#path(file: string | undefined): string {
		return file === undefined ? "(no file)" : relative(this.#root, file);
	}

	#tally(file: string | undefined): FileTally {
		const key = this.#path(file);
		const tally = this.#files.get(key) ?? { passed: 0, failed: [], skipped: [], output: "" };
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

function blockOf({ title, place, why }: Failed): string {
	return `✖ ${title}\n  ${place}\n${indented(why)}`;
}

function indented(text: string): string {
	return text.replace(/^/gm, "    ");
}
