export type Stanza = ReadonlyMap<string, string>;

/**
 * Paragraphs of `Name: value` lines with empty lines between, as deb822(5) has them; a value's first line alone is kept. Total:
 * what has no such form is passed over. Names are in lower case.
 */
export function parseStanzas(text: string): readonly Stanza[] {
	const stanzas: Stanza[] = [];
	let stanza = new Map<string, string>();
	const finish = () => {
		if (stanza.size > 0) stanzas.push(stanza);
		stanza = new Map();
	};
	for (const line of text.split(/\r?\n/)) {
		if (line.trim() === "") finish();
		const [, name, value = ""] = /^([!-9;-~]+):(.*)$/.exec(line) ?? [];
		// The first of two counts, so that nothing can be said over again.
		if (name !== undefined && !stanza.has(name.toLowerCase())) stanza.set(name.toLowerCase(), value.trim());
	}
	finish();
	return stanzas;
}
