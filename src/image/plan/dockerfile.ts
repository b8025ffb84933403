import type { Platform } from "../schema.ts";

export interface DockerfileFacts {
	/** ARG values from outside. */
	readonly arguments: Readonly<Record<string, string>>;
	/** Names that mean something of the recipe's own. */
	readonly contexts: readonly string[];
	readonly platform: Platform;
}

/**
 * Names of images that a Dockerfile takes from a registry: in FROM, COPY --from and RUN --mount=from. Sorted. Stages, named
 * contexts and `scratch` are none. A name that only a RUN could tell does not exist: FROM knows no variables but ARGs before it.
 */
export function imagesNamedIn(text: string, facts: DockerfileFacts): readonly string[] {
	const own = new Set(["scratch", ...facts.contexts]);
	const values = new Map(Object.entries(platformArguments(facts.platform)));
	const found = new Set<string>();
	let stages = 0;
	const note = (word: string) => {
		const name = substituted(word, values);
		const isStage = own.has(name.toLowerCase()) || /^\d+$/.test(name);
		if (name !== "" && !isStage) found.add(name);
	};
	for (const line of instructionsOf(text)) {
		const [keyword = "", ...words] = line.split(/\s+/);
		switch (keyword.toUpperCase()) {
			case "ARG":
				// Those after the first FROM belong to their stage and mean nothing to the next FROM.
				if (stages === 0) for (const word of words) declare(word, values, facts.arguments);
				break;
			case "FROM": {
				stages += 1;
				const [image = "", as, name] = words.filter((word) => !word.startsWith("--"));
				note(image);
				if (as?.toUpperCase() === "AS" && name !== undefined) own.add(name.toLowerCase());
				break;
			}
			case "COPY":
			case "ADD":
			case "RUN":
				for (const word of flagsOf(words)) {
					const from = /^--from=(.+)$/.exec(word)?.[1] ?? /^--mount=(?:.*,)?from=([^,]+)/.exec(word)?.[1];
					if (from !== undefined) note(unquoted(from));
				}
				break;
			default:
				break;
		}
	}
	return [...found].sort();
}

/** What ADD would fetch that no checksum binds. BuildKit fetches it whatever network RUN has. */
export function addressesAdded(text: string): readonly string[] {
	const found = instructionsOf(text).flatMap((line) => {
		const [keyword = "", ...words] = line.split(/\s+/);
		if (keyword.toUpperCase() !== "ADD" || flagsOf(words).some((word) => word.startsWith("--checksum="))) return [];
		return words.map((word) => word.replace(/^[["',]+|["',\]]+$/g, ""));
	});
	return found.filter((word) => /^(?:https?|git|ssh):\/\/|^git@/i.test(word));
}

function flagsOf(words: readonly string[]): readonly string[] {
	const end = words.findIndex((word) => !word.startsWith("--"));
	return end === -1 ? words : words.slice(0, end);
}

/** Lines joined where they go on, without comments and without what heredocs hold. */
export function instructionsOf(text: string): readonly string[] {
	const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
	const mark = escapeOf(lines);
	const instructions: string[] = [];
	let open = "";
	for (let index = 0; index < lines.length; index += 1) {
		const line = lines[index] ?? "";
		if (/^\s*#/.test(line) || (open !== "" && line.trim() === "")) continue;
		const trimmed = line.trimEnd();
		if (trimmed.endsWith(mark)) {
			open += `${trimmed.slice(0, -1)} `;
			continue;
		}
		const whole = `${open}${line}`.trim();
		open = "";
		if (whole === "") continue;
		instructions.push(whole);
		index = endOfHeredocs(whole, lines, index);
	}
	return open.trim() === "" ? instructions : [...instructions, open.trim()];
}

function escapeOf(lines: readonly string[]): string {
	for (const line of lines) {
		const directive = /^\s*#\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line);
		if (directive === null) break;
		if (directive[1]?.toLowerCase() === "escape" && directive[2] === "`") return "`";
	}
	return "\\";
}

function endOfHeredocs(instruction: string, lines: readonly string[], from: number): number {
	if (!/^(?:RUN|COPY|ADD)\s/i.test(instruction)) return from;
	let index = from;
	for (const [, dash, , word] of instruction.matchAll(/(?<!<)<<(-?)(["']?)([A-Za-z_]\w*)\2/g)) {
		const isEnd = (line: string) => (dash === "-" ? line.replace(/^\t+/, "") : line) === word;
		let end = index + 1;
		while (end < lines.length && !isEnd(lines[end] ?? "")) end += 1;
		// Without an end it is no heredoc, but `<<` of some other meaning.
		if (end < lines.length) index = end;
	}
	return index;
}

function declare(word: string, values: Map<string, string>, given: Readonly<Record<string, string>>): void {
	const equals = word.indexOf("=");
	const name = equals === -1 ? word : word.slice(0, equals);
	const outside = Object.hasOwn(given, name) ? given[name] : undefined;
	if (outside !== undefined) values.set(name, outside);
	else if (equals !== -1) values.set(name, substituted(unquoted(word.slice(equals + 1)), values));
}

/** `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`. */
function substituted(word: string, values: ReadonlyMap<string, string>): string {
	return unquoted(word).replace(
		/\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
		(_, plain: string | undefined, braced: string | undefined, form: string | undefined, other: string | undefined) => {
			const value = values.get(plain ?? braced ?? "") ?? "";
			if (form === "-") return value === "" ? (other ?? "") : value;
			if (form === "+") return value === "" ? "" : (other ?? "");
			return value;
		},
	);
}

function unquoted(word: string): string {
	return word.replace(/^(["'])(.*)\1$/s, "$2");
}

/** BuildKit's own ARGs. */
function platformArguments(platform: Platform): Readonly<Record<string, string>> {
	const [os = "", architecture = ""] = platform.split("/");
	return {
		TARGETPLATFORM: platform,
		TARGETOS: os,
		TARGETARCH: architecture,
		BUILDPLATFORM: platform,
		BUILDOS: os,
		BUILDARCH: architecture,
	};
}
