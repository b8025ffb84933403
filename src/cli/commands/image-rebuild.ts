import {
	compareImages,
	type FileDifference,
	type ImageComparison,
	rebuildImage,
	recipeFor,
} from "../../image/index.ts";
import type { Action } from "../command.ts";
import { longWork } from "../image/long-work.ts";
import { findImage, type ImageParts, imageParts } from "../image/parts.ts";
import { paint, printable, printJson, table } from "../screen.ts";

/** More than anybody reads; --json has all of them. */
const MOST_SHOWN = 200;

export const imageRebuildAction: Action = ({ operands: [text = ""], flags }) =>
	longWork(flags.has("--json") ? "quiet" : "normal", async (signal, progress) => {
		const parts = imageParts();
		const { digest } = await findImage(parts, text);
		const source = flags.text("--source");
		const recipe = source === undefined ? undefined : await recipeFor({ source }, { host: parts.host });
		const rebuilt = await rebuildImage(digest, {
			store: parts.store,
			cacheDirectory: parts.directories.cache,
			host: parts.host,
			signal,
			recipe,
			progress: ({ what, ...event }) => progress.report({ ...event, step: what }),
		});
		progress.done();
		const identical = rebuilt.verdict === "identical";
		if (flags.has("--json")) {
			printJson(rebuilt);
			return identical ? 0 : 1;
		}
		if (identical) {
			process.stdout.write(`${paint("green", "identical", process.stdout)}  ${digest}\n`);
			return 0;
		}
		process.stdout.write(`${paint("red", "DIFFERENT", process.stdout)}  ${digest} came out as ${rebuilt.rebuilt}\n`);
		process.stdout.write(`${causeOf(rebuilt.inputs)}\n`);
		showComparison(rebuilt.comparison, ["recorded", "rebuilt"]);
		return 1;
	});

function causeOf(inputs: Awaited<ReturnType<typeof rebuildImage>>["inputs"]): string {
	if (inputs.length === 0) {
		return `${paint("bold", "cause", process.stdout)}  every input is as recorded: a step of the build does not give the same bytes twice`;
	}
	const short = (text: string) => printable(text.length > 90 ? `${text.slice(0, 90)}…` : text);
	const rows = inputs.map(({ input, recorded, now }) => [`  ${printable(input)}`, short(recorded), "→", short(now)]);
	return `${paint("bold", "cause", process.stdout)}  inputs that are not what was recorded:\n${table(rows)}`;
}

export const imageDiffAction: Action = ({ operands: [left = "", right = ""], flags }) =>
	longWork("terminal", async (signal, progress) => {
		const parts = imageParts();
		const [one, other] = [await findImage(parts, left), await findImage(parts, right)];
		progress.report({ step: "reading both disks" });
		const comparison = await compareImages(one, other, { ...settingsOf(parts), signal });
		progress.done();
		if (flags.has("--json")) printJson({ left: one.digest, right: other.digest, ...comparison });
		else if (comparison.verdict === "same") process.stdout.write(`the same image  ${one.digest}\n`);
		else showComparison(comparison, [printable(left), printable(right)]);
		return comparison.verdict === "same" ? 0 : 1;
	});

function settingsOf({ host, store }: ImageParts) {
	return { host, scratch: () => store.scratch() };
}

const SIGNS = { "only-left": "-", "only-right": "+", changed: "~" } as const;

function showComparison({ facts, files }: ImageComparison, [left, right]: readonly [string, string]): void {
	const heading =
		files.length === 0
			? "the same, every one"
			: `${files.length} differ (- only in ${left}, + only in ${right}, ~ changed)`;
	process.stdout.write(`${paint("bold", "files", process.stdout)}  ${heading}\n`);
	if (files.length > 0) process.stdout.write(`${table(files.slice(0, MOST_SHOWN).map(rowOf))}\n`);
	if (files.length > MOST_SHOWN) process.stdout.write(`  and ${files.length - MOST_SHOWN} more: --json has all\n`);
	for (const { what, left: one, right: other } of facts) {
		const [shownOne, shownOther] = what === "command line" ? differingWords(one, other) : [one, other];
		process.stdout.write(
			`${paint("bold", what, process.stdout)}\n  - ${printable(shownOne)}\n  + ${printable(shownOther)}\n`,
		);
	}
}

function differingWords(left: string, right: string): readonly [string, string] {
	const [one, other] = [left.split(" "), right.split(" ")];
	const only = (words: readonly string[], rest: readonly string[]) =>
		words.filter((word) => !rest.includes(word)).join(" ");
	return [only(one, other), only(other, one)];
}

function rowOf({ change, path, causes }: FileDifference): readonly string[] {
	return [`  ${SIGNS[change]}`, printable(path), printable(causes.join(", "))];
}
