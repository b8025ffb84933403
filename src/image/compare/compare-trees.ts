import type { TreeEntry, TreeListing } from "./entry.ts";

export interface FileDifference {
	/** From the root of the file system, as text: bytes that are not UTF-8 become U+FFFD. */
	readonly path: string;
	readonly change: "only-left" | "only-right" | "changed";
	/** What about it differs: "contents", "mode 0644 → 0755". */
	readonly causes: readonly string[];
	readonly sizeBytes: { readonly left: number | null; readonly right: number | null };
}

/** Every name that differs, in byte order. */
export function compareTrees(left: TreeListing, right: TreeListing): readonly FileDifference[] {
	const paths = [...new Set([...left.keys(), ...right.keys()])].sort();
	return paths.flatMap((raw): readonly FileDifference[] => {
		const [one, other] = [left.get(raw), right.get(raw)];
		const path = `/${Buffer.from(raw, "latin1").toString("utf8")}`;
		const sizeBytes = { left: one?.sizeBytes ?? null, right: other?.sizeBytes ?? null };
		if (one === undefined || other === undefined) {
			const change = other === undefined ? "only-left" : "only-right";
			return [{ path, change, causes: [`a ${(one ?? other)?.kind}`], sizeBytes }];
		}
		const causes = causesOf(one, other);
		return causes.length === 0 ? [] : [{ path, change: "changed", causes, sizeBytes }];
	});
}

function causesOf(left: TreeEntry, right: TreeEntry): readonly string[] {
	if (left.kind !== right.kind) return [`${left.kind} → ${right.kind}`];
	const octal = (mode: number) => `0${mode.toString(8).padStart(3, "0")}`;
	const owner = ({ uid, gid }: TreeEntry) => `${uid}:${gid}`;
	return [
		...(left.contentDigest === right.contentDigest ? [] : ["contents"]),
		...(left.sizeBytes === right.sizeBytes ? [] : [`size ${left.sizeBytes} → ${right.sizeBytes}`]),
		...(left.target === right.target ? [] : [`target ${left.target} → ${right.target}`]),
		...(left.mode === right.mode ? [] : [`mode ${octal(left.mode)} → ${octal(right.mode)}`]),
		...(owner(left) === owner(right) ? [] : [`owner ${owner(left)} → ${owner(right)}`]),
		...(left.device === right.device ? [] : [`device ${left.device} → ${right.device}`]),
		...xattrCauses(left.xattrs, right.xattrs),
	];
}

function xattrCauses(left: TreeEntry["xattrs"], right: TreeEntry["xattrs"]): readonly string[] {
	if (left === null || right === null) return [];
	const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
	return names.filter((name) => left[name] !== right[name]).map((name) => `xattr ${name}`);
}
