/** Whether a version is older than another: by numbers alone, what stands after a `-` does not count, and what is missing is 0 (section 2.3.2). */
export function isOlder(version: string, other: string): boolean {
	const numbers = (text: string): number[] => (text.split("-")[0] ?? "").split(".").map((part) => Number(part) || 0);
	const [own, needed] = [numbers(version), numbers(other)];
	for (let at = 0; at < 3; at++) {
		const difference = (own[at] ?? 0) - (needed[at] ?? 0);
		if (difference !== 0) return difference < 0;
	}
	return false;
}
