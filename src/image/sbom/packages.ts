import { entriesOf, type RootfsNode, type RootfsTree } from "../artifacts/rootfs/index.ts";
import { parseStanzas, type Stanza } from "./stanzas.ts";

export interface InstalledPackage {
	/** Of a package URL. */
	readonly type: "apk" | "deb" | "pypi";
	readonly name: string;
	readonly version: string;
	/** Null for what runs on all. */
	readonly architecture: string | null;
	readonly supplier: string | null;
	/** As the package says it, in whatever form. */
	readonly license: string | null;
}

/** No database of packages is near it. */
const DATABASE_BYTES = 64 << 20;
const METADATA = /(?:^|\/)[^/]+\.(?:dist-info\/METADATA|egg-info\/PKG-INFO)$/;
/** Debian's own packages of Python: dpkg tells of them. */
const DEBIAN_PYTHON = "usr/lib/python3/dist-packages/";
const STATUS_FOLDER = ["var", "lib", "dpkg", "status.d"];

/** Every package that the tree's databases tell of, sorted and without twins. */
export function packagesOf(tree: RootfsTree): readonly InstalledPackage[] {
	const found = [...dpkgPackages(tree), ...apkPackages(tree), ...pythonPackages(tree)];
	const byKey = new Map(found.map((one) => [[one.name, one.version, one.architecture, one.type].join("\n"), one]));
	return [...byKey].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, one]) => one);
}

/** `ID` of os-release(5), which is Debian's or Alpine's name in package URLs. */
export function systemOf(tree: RootfsTree): string | null {
	// /etc/os-release is a link to it.
	const text = textAt(tree, ["usr", "lib", "os-release"]) ?? textAt(tree, ["etc", "os-release"]);
	return text === undefined ? null : (/^ID=["']?([a-z0-9._-]+)["']?[ \t]*$/m.exec(text)?.[1] ?? null);
}

/** Entries of dpkg's status file, those that are unpacked or installed. Total. */
export function parseDpkgStatus(text: string): readonly InstalledPackage[] {
	return parseStanzas(text).flatMap((stanza) => {
		const status = stanza.get("status");
		// Files of distroless images have no status.
		if (status !== undefined && /\b(?:not-installed|config-files)$/.test(status)) return [];
		return packageOf(stanza, "deb", ["package", "version", "architecture", "maintainer", "license"]);
	});
}

/** Entries of apk's `installed`: apk-tools' one-letter fields. Total. */
export function parseApkInstalled(text: string): readonly InstalledPackage[] {
	// Fields are told by case: `p` is what it provides. Those of its files follow after the first `F`.
	const paragraphs = text.split(/\n[ \t]*\n/).map((paragraph) => paragraph.split(/^F:/m, 1)[0] ?? "");
	const kept = paragraphs.map((paragraph) => paragraph.replaceAll(/^[^PVAmL]:.*$/gm, "-"));
	return kept.flatMap((paragraph) =>
		parseStanzas(paragraph).flatMap((stanza) => packageOf(stanza, "apk", ["p", "v", "a", "m", "l"])),
	);
}

function dpkgPackages(tree: RootfsTree): readonly InstalledPackage[] {
	const single = textAt(tree, ["var", "lib", "dpkg", "status"]);
	const folder = nodeAt(tree, STATUS_FOLDER);
	const names = folder?.kind === "directory" ? [...folder.children.keys()] : [];
	const several = names
		.filter((name) => !name.endsWith(".md5sums"))
		.map((name) => textAt(tree, [...STATUS_FOLDER, name]));
	return [single, ...several].flatMap((text) => (text === undefined ? [] : parseDpkgStatus(text)));
}

function apkPackages(tree: RootfsTree): readonly InstalledPackage[] {
	const places = [["lib"], ["usr", "lib"]];
	const texts = places.map((place) => textAt(tree, [...place, "apk", "db", "installed"]));
	return texts.flatMap((text) => (text === undefined ? [] : parseApkInstalled(text)));
}

function pythonPackages(tree: RootfsTree): readonly InstalledPackage[] {
	const packages: InstalledPackage[] = [];
	for (const { path, node } of entriesOf(tree)) {
		if (!METADATA.test(path) || path.startsWith(DEBIAN_PYTHON)) continue;
		const [headers] = parseStanzas(textOf(node) ?? "");
		if (headers !== undefined)
			packages.push(...packageOf(headers, "pypi", ["name", "version", "", "author", "license"]));
	}
	return packages;
}

type Fields = readonly [name: string, version: string, architecture: string, supplier: string, license: string];

function packageOf(stanza: Stanza, type: InstalledPackage["type"], fields: Fields): readonly InstalledPackage[] {
	const [name, version, architecture, supplier, license] = fields.map((field) => stanza.get(field) || null);
	if (!name || !version) return [];
	return [
		{
			type,
			name,
			version,
			architecture: architecture ?? null,
			supplier: supplier ?? null,
			license: license ?? null,
		},
	];
}

function nodeAt(tree: RootfsTree, path: readonly string[]): RootfsNode | undefined {
	let node: RootfsNode | undefined = tree.root;
	for (const name of path) node = node?.kind === "directory" ? node.children.get(name) : undefined;
	return node;
}

function textAt(tree: RootfsTree, path: readonly string[]): string | undefined {
	return textOf(nodeAt(tree, path));
}

function textOf(node: RootfsNode | undefined): string | undefined {
	if (node?.kind !== "file" || node.content.sizeBytes > DATABASE_BYTES) return undefined;
	const bytes = Buffer.alloc(node.content.sizeBytes);
	const reader = node.content.open();
	try {
		reader.read(bytes, 0, bytes.length);
	} finally {
		reader.close();
	}
	return bytes.toString("utf8");
}
