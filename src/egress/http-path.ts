/** Whether a request's path lies below a rule's prefix, however either may be spelled. */
export type PathJudgement = { readonly kind: "below" } | { readonly kind: "outside"; readonly problem: string };

const outside = (problem: string): PathJudgement => ({ kind: "outside", problem });

/** Spellings that servers read differently: encoded or double-encoded separators, path parameters on dot segments. */
const AMBIGUOUS: readonly (readonly [RegExp, string])[] = [
	[/\\/, "a backslash"],
	[/[#]/, "a fragment"],
	[/%(?![0-9a-fA-F]{2})/, "a malformed percent sign"],
	[/%2f/i, "an encoded slash"],
	[/%5c/i, "an encoded backslash"],
	[/%25/i, "an encoded percent sign"],
	[/%(?:[01][0-9a-f]|7f)/i, "an encoded control character"],
	[/(?:^|\/)(?:\.|%2e){1,2};/i, "a dot segment with parameters"],
];

/**
 * Both the path as written and the path a server would make of it must lie below one of the prefixes: whichever of
 * the two the server uses, it stays inside. Prefixes end at segment borders: `/v1` covers `/v1/x`, not `/v1beta`.
 */
export function judgePath(target: string, prefixes: readonly string[]): PathJudgement {
	if (prefixes.length === 0) return { kind: "below" };
	const raw = target.split("?", 1)[0] ?? "";
	if (!raw.startsWith("/")) return outside("it is not a path");
	const ambiguity = AMBIGUOUS.find(([shape]) => shape.test(raw));
	if (ambiguity !== undefined) return outside(`it has ${ambiguity[1]}`);
	const resolved = resolvePath(raw);
	if (resolved === undefined) return outside("it climbs above the root");
	const within = (path: string): boolean => prefixes.some((prefix) => isBelow(path, prefix));
	return within(raw) && within(resolved) ? { kind: "below" } : outside("no path rule covers it");
}

function isBelow(path: string, prefix: string): boolean {
	return path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
}

/** Percent-decoded, repeated slashes joined, dot segments taken out (RFC 3986 section 5.2.4); undefined above the root. */
function resolvePath(raw: string): string | undefined {
	const decoded = raw.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
	const kept: string[] = [];
	const segments = decoded.split("/");
	for (const segment of segments) {
		if (segment === "..") {
			if (kept.pop() === undefined) return undefined;
		} else if (segment !== "" && segment !== ".") kept.push(segment);
	}
	const last = segments.at(-1);
	const slash = kept.length > 0 && (last === "" || last === "." || last === "..") ? "/" : "";
	return `/${kept.join("/")}${slash}`;
}
