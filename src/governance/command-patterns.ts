import { programName } from "./command-text.ts";

/**
 * A pattern of a policy's `commands`: words, each compared with one word of the command. `*` in a word stands for any
 * characters of that word; a last word `*` stands for all remaining words, also none. Without a folder, the first word
 * is compared with the program's name alone.
 */
export function matchesCommand(pattern: string, words: readonly string[]): boolean {
	const wanted = pattern.trim().split(/\s+/);
	const open = wanted.at(-1) === "*";
	const fixed = open ? wanted.slice(0, -1) : wanted;
	if (open ? words.length < fixed.length : words.length !== fixed.length) return false;
	return fixed.every((glob, index) => {
		const word = words[index] ?? "";
		return matchesWord(glob, index === 0 && !glob.includes("/") ? programName(word) : word);
	});
}

/** Linear in the word's length for every pattern: no backtracking to be led into. */
function matchesWord(glob: string, word: string): boolean {
	const pieces = glob.split("*");
	const first = pieces[0] ?? "";
	const last = pieces.at(-1) ?? "";
	if (pieces.length === 1) return word === glob;
	if (word.length < first.length + last.length || !word.startsWith(first) || !word.endsWith(last)) return false;
	let at = first.length;
	const end = word.length - last.length;
	for (const piece of pieces.slice(1, -1)) {
		const found = word.indexOf(piece, at);
		if (found === -1 || found + piece.length > end) return false;
		at = found + piece.length;
	}
	return true;
}
