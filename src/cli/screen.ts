/** Text for people: colour only on a terminal that wants it (NO_COLOR, https://no-color.org), tables that line up. */

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;
const RESET = "\u001b[0m";

export function wantsColour(stream: NodeJS.WriteStream): boolean {
	return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stderr): string {
	return wantsColour(stream) ? `\u001b[${CODES[style]}m${text}${RESET}` : text;
}

/**
 * Printable form of text that untrusted code chose: control characters, bidirectional overrides and other format characters
 * become visible escapes, so that a name can't repaint the screen.
 */
export function printable(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
		const point = character.codePointAt(0) ?? 0;
		return point < 0x100 ? `\\x${point.toString(16).padStart(2, "0")}` : `\\u{${point.toString(16)}}`;
	});
}

/** Left-aligned columns; lines are cut to the terminal's width, and whole where there is none. Cells must be printable already. */
export function table(rows: readonly (readonly string[])[], width = terminalWidth()): string {
	const columns = Math.max(0, ...rows.map((row) => row.length));
	const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => lengthOf(row[column]))));
	return rows
		.map((row) => {
			const line = row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - lengthOf(cell))).join("  ");
			return cut(line.trimEnd(), width);
		})
		.join("\n");
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: our own colour codes have no width
const COLOUR_CODE = /\u001b\[\d+m/g;

function terminalWidth(): number {
	return process.stdout.columns ?? process.stderr.columns ?? Number.POSITIVE_INFINITY;
}

function lengthOf(cell: string | undefined): number {
	return [...(cell ?? "").replace(COLOUR_CODE, "")].length;
}

function cut(line: string, width: number): string {
	if (lengthOf(line) <= width) return line;
	let kept = "";
	let colour = "";
	for (const part of line.match(new RegExp(`${COLOUR_CODE.source}|.`, "gsu")) ?? []) {
		if (/^\p{Cc}./u.test(part)) colour = part === RESET ? "" : part;
		else if (lengthOf(kept) === width - 1) break;
		kept += part;
	}
	return `${kept}…${colour === "" ? "" : RESET}`;
}

/** Prints JSON for scripts: one document, two-space indent, newline. */
export function printJson(value: unknown): void {
	process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
