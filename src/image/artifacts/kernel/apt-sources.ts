import { join } from "node:path";
import type { Host } from "../../../host/index.ts";

/** Where Debian's two archives are got from: addresses without a slash at their end. */
export interface Mirrors {
	readonly debian: string;
	readonly "debian-security": string;
}

const DEFAULTS: Mirrors = {
	debian: "http://deb.debian.org/debian",
	"debian-security": "http://deb.debian.org/debian-security",
};
const FOLDER = "/etc/apt";
const RELEASE = "(?:bullseye|bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)";
const MAIN_SUITE = new RegExp(`^${RELEASE}$`);
const SECURITY_SUITE = new RegExp(`^${RELEASE}(?:-security|/updates)$`);
/** What apt can download from; nothing that could be read as more than an address. */
const ADDRESS = /^(?:https?|file|mirror\+https?):\/{1,3}[^\s"\\[\]]+$/;
const SNAPSHOT = "http://snapshot.debian.org/archive";

/** One line of a source list, or one stanza, for each address and suite. */
export interface AptSource {
	readonly address: string;
	readonly suite: string;
	readonly components: readonly string[];
}

/** The mirrors that this machine takes Debian's packages from; Debian's own where it names none. */
export async function mirrorsOf(host: Host, snapshot: string | undefined): Promise<Mirrors> {
	if (snapshot !== undefined) {
		return { debian: `${SNAPSHOT}/debian/${snapshot}`, "debian-security": `${SNAPSHOT}/debian-security/${snapshot}` };
	}
	const sources = (await textsOfSources(host)).flatMap(({ name, text }) =>
		name.endsWith(".sources") ? parseStanzas(text) : parseLines(text),
	);
	const addressFor = (suites: RegExp) =>
		sources
			.find(({ suite, components }) => suites.test(suite) && components.includes("main"))
			?.address.replace(/\/+$/, "");
	return {
		debian: addressFor(MAIN_SUITE) ?? DEFAULTS.debian,
		"debian-security": addressFor(SECURITY_SUITE) ?? DEFAULTS["debian-security"],
	};
}

async function textsOfSources(host: Host): Promise<readonly { readonly name: string; readonly text: string }[]> {
	const parts = join(FOLDER, "sources.list.d");
	const names = (await host.listFolder(parts)).map(({ name }) => join(parts, name));
	const paths = [...names, join(FOLDER, "sources.list")].filter((name) => /\.(?:list|sources)$/.test(name));
	const texts = await Promise.all(paths.map((name) => host.readText(name)));
	return paths.flatMap((name, index) => {
		const text = texts[index];
		return text === undefined ? [] : [{ name, text }];
	});
}

/** sources.list(5), one-line style. What isn't understood is left out. */
export function parseLines(text: string): readonly AptSource[] {
	return text.split("\n").flatMap((line) => {
		const words = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
		if (words === null) return [];
		const [, address = "", suite = "", components = ""] = words;
		return sourceOf(address, suite, components);
	});
}

/** sources.list(5), deb822 style. */
export function parseStanzas(text: string): readonly AptSource[] {
	return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
		const fields = fieldsOf(stanza);
		const valuesOf = (name: string) => (fields.get(name) ?? "").split(/\s+/).filter((value) => value !== "");
		if (!valuesOf("types").includes("deb") || /^(?:no|false|0)$/i.test(fields.get("enabled") ?? "")) return [];
		return valuesOf("uris").flatMap((address) =>
			valuesOf("suites").flatMap((suite) => sourceOf(address, suite, fields.get("components") ?? "")),
		);
	});
}

function sourceOf(address: string, suite: string, components: string): readonly AptSource[] {
	if (!ADDRESS.test(address)) return [];
	return [{ address, suite, components: components.split(/\s+/).filter((component) => component !== "") }];
}

/** The fields of one stanza of a control file, names in lower case, comments left out, continuations joined by spaces. */
export function fieldsOf(stanza: string): ReadonlyMap<string, string> {
	const fields = new Map<string, string>();
	let last: string | undefined;
	for (const line of stanza.split("\n")) {
		if (line.startsWith("#")) continue;
		const field = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
		if (field !== null) {
			last = (field[1] ?? "").toLowerCase();
			fields.set(last, (field[2] ?? "").trim());
		} else if (last !== undefined && /^\s/.test(line)) {
			fields.set(last, `${fields.get(last)} ${line.trim()}`.trim());
		}
	}
	return fields;
}
