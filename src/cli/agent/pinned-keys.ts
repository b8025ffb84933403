import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Logger } from "pino";
import type { PublicKey } from "../../evidence/index.ts";
import { successorsOf } from "../../journal/index.ts";

/**
 * The key of a control plane that a node was given when it enrolled, and those that came after it, each named by the one before. They are
 * kept, so that a control plane need not say all of it for ever; what is read back is checked like what is heard.
 */
export class PinnedKeys {
	readonly #path: string;
	readonly #log: Logger;
	#heard: readonly unknown[];
	#keys: readonly PublicKey[];

	/** @param path of a file; it need not be there */
	constructor(pinned: readonly PublicKey[], path: string, log: Logger) {
		this.#path = path;
		this.#log = log;
		this.#heard = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : [];
		this.#keys = successorsOf(pinned, this.#heard);
	}

	/** Those that count, after these successions were heard too. Without a pinned key there are none. */
	after(successions: readonly unknown[]): readonly PublicKey[] {
		const keys = successorsOf(this.#keys, successions);
		if (keys.length === this.#keys.length) return keys;
		const named = keys.slice(this.#keys.length).map(({ keyId }) => keyId);
		this.#log.warn({ keys: named }, "the control plane has another key, which the one before it names");
		this.#heard = [...this.#heard, ...successions];
		this.#keys = keys;
		writeFileSync(`${this.#path}.new`, JSON.stringify(this.#heard), { mode: 0o600 });
		renameSync(`${this.#path}.new`, this.#path);
		return keys;
	}
}
