import { type Document, isNode, isPair, isScalar, type LineCounter } from "yaml";

export type KeyPath = readonly PropertyKey[];

/** `network.allow[2]`: entries of a list count from 1, as lines do. */
export function textOfPath(path: KeyPath): string {
	return path
		.map((part) => (typeof part === "number" ? `[${part + 1}]` : `.${String(part)}`))
		.join("")
		.replace(/^\./, "");
}

/** Where the values and keys of a document stand, for people: lines and columns from 1. */
export class Places {
	readonly #document: Document.Parsed;
	readonly #lines: LineCounter;
	constructor(document: Document.Parsed, lines: LineCounter) {
		this.#document = document;
		this.#lines = lines;
	}

	/** Of a value; of the nearest value around it when there is none. */
	of(path: KeyPath): { line: string; column: string } {
		for (let length = path.length; length >= 0; length--) {
			const node: unknown = length === 0 ? this.#document.contents : this.#document.getIn(path.slice(0, length), true);
			if (isNode(node) && node.range) return positionOf(this.#lines, node.range[0]);
		}
		return { line: "1", column: "1" };
	}

	/** Of a key of the map at `path`. */
	ofKey(path: KeyPath, key: string): { line: string; column: string } {
		let found: number | undefined;
		const map: unknown = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
		if (isNode(map) && "items" in map) {
			for (const item of map.items as unknown[]) {
				if (isPair(item) && isScalar(item.key) && String(item.key.value) === key) found = item.key.range?.[0];
			}
		}
		return found === undefined ? this.of(path) : positionOf(this.#lines, found);
	}
}

/** Of an offset into the text. */
export function positionOf(lines: LineCounter, offset: number): { line: string; column: string } {
	const { line, col } = lines.linePos(offset);
	return { line: String(Math.max(1, line)), column: String(Math.max(1, col)) };
}
