/** The candidate a misspelt word was meant for; undefined when none is near. */
export function nearestWord(word: string, candidates: readonly string[]): string | undefined {
	const wanted = plain(word);
	const ranked = candidates
		.map((candidate) => ({ candidate, distance: editDistance(wanted, plain(candidate)) }))
		.sort((a, b) => a.distance - b.distance);
	const best = ranked[0];
	return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3))
		? best.candidate
		: undefined;
}

/** `openFiles`, `open-files` and `open_files` are one word to whoever writes them. */
function plain(word: string): string {
	return word
		.slice(0, 64)
		.toLowerCase()
		.replace(/[-_\s]/g, "");
}

/** Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours. */
function editDistance(left: string, right: string): number {
	const rows = Array.from({ length: left.length + 1 }, (_, row) =>
		Array.from({ length: right.length + 1 }, (_, column) => (row === 0 ? column : column === 0 ? row : 0)),
	);
	const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
	for (let row = 1; row <= left.length; row++) {
		for (let column = 1; column <= right.length; column++) {
			const same = left[row - 1] === right[column - 1];
			const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
			const steps = [at(row - 1, column) + 1, at(row, column - 1) + 1, at(row - 1, column - 1) + (same ? 0 : 1)];
			if (swapped) steps.push(at(row - 2, column - 2) + 1);
			const line = rows[row];
			if (line !== undefined) line[column] = Math.min(...steps);
		}
	}
	return at(left.length, right.length);
}
