import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, canonicalJson, hexOfDigest, type Json, systemClock } from "../core/index.ts";
import { formatPublicKey, type PublicKey, parsePublicKey, type Signer, signerOf } from "../evidence/index.ts";
import { fail } from "./failures.ts";
import type { Journal, JournalKeys } from "./journal.ts";
import { createDurably, privateDirectory, readOwn, readSecret, replaceDurably, subdirectory } from "./private-files.ts";
import { readSuccession, type SuccessionEntry, successionEntry } from "./succession.ts";

export interface TrustedKey {
	readonly key: PublicKey;
	/** What a person called it, or what it is here. One line, never trusted. */
	readonly label: string;
	readonly role: "signs" | "trusted";
}

/** A key that is not in use yet, and the old one's word for it. */
interface Successor {
	readonly privateKey: KeyObject;
	readonly entry: SuccessionEntry;
}

const SUCCESSIONS = "successions";

/** The node's key and the public keys it trusts: `node.key` and `trusted/*.pub` in a directory of mode 0700. */
export class KeyStore implements JournalKeys {
	readonly #directory: string;
	readonly #clock: Clock;
	#signer: Signer;

	constructor(directory: string, clock: Clock) {
		privateDirectory(directory);
		subdirectory(directory, "trusted");
		this.#directory = directory;
		this.#clock = clock;
		this.#signer = this.#readOrCreate();
	}

	/** The key that signs in this process: another process may have rotated since, and then this one stays trusted. */
	signer(): Signer {
		return this.#signer;
	}

	trusted(): readonly PublicKey[] {
		return this.list().map(({ key }) => key);
	}

	/** The signing key first. Reads the directory anew. Throws `key-unusable` and `path-unsafe`. */
	list(): readonly TrustedKey[] {
		const own: TrustedKey = { key: this.#signer.publicKey, label: "this node", role: "signs" };
		const names = readdirSync(join(this.#directory, "trusted")).filter((name) => name.endsWith(".pub"));
		const others = names.sort().map((name) => this.#readTrusted(join(this.#directory, "trusted", name)));
		return [own, ...others.filter(({ key }) => key.keyId !== own.key.keyId)];
	}

	/** Trusts another node's key from now on; a second time only changes its label. */
	trust(key: PublicKey, label = ""): void {
		const text = `${formatPublicKey(key)} ${label.replace(/[\s\p{Cc}]+/gu, " ")}`.trimEnd();
		replaceDurably(
			join(this.#directory, "trusted", `${hexOfDigest(key.keyId).slice(0, 32)}.pub`),
			Buffer.from(`${text}\n`),
		);
	}

	/**
	 * Makes a new key, has the old one sign for it in the journal, and signs with it from then on. The old private key is
	 * gone; its public key stays trusted for old receipts. A crash on the way leaves the old key in use. Throws `key-changed`.
	 */
	rotate(journal: Pick<Journal, "append">): Signer {
		const successor = this.#successor();
		journal.append(successor.entry);
		return this.#succeed(successor);
	}

	/** The same with a journal that takes its time. */
	async rotateWith(append: (entry: SuccessionEntry) => Promise<void>): Promise<Signer> {
		const successor = this.#successor();
		await append(successor.entry);
		return this.#succeed(successor);
	}

	/** What the old keys signed for their successors, oldest first. */
	successions(): readonly SuccessionEntry[] {
		const folder = join(this.#directory, SUCCESSIONS);
		const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
		return names.sort().flatMap((name) => readSuccession(readOwn(join(folder, name))) ?? []);
	}

	#successor(): Successor {
		const time = new Date(this.#clock.nowMs()).toISOString();
		const { privateKey } = generateKeyPairSync("ed25519");
		const { publicKey } = signerOf(privateKey);
		this.trust(this.#signer.publicKey, `this node until ${time}`);
		// Before anything is signed with it: processes that still hold the old key must take its checkpoints as found.
		this.trust(publicKey, `this node since ${time}`);
		return { privateKey, entry: successionEntry(this.#signer, publicKey, time) };
	}

	#succeed({ privateKey, entry }: Successor): Signer {
		const path = this.#keyPath();
		if (this.#read()?.keyId !== this.#signer.keyId) throw fail("key-changed", { path });
		const file = `${entry.time.replace(/\W/g, "")}-${hexOfDigest(entry.digest).slice(0, 16)}.json`;
		const folder = subdirectory(this.#directory, SUCCESSIONS);
		replaceDurably(join(folder, file), Buffer.from(canonicalJson(entry as unknown as Json)));
		replaceDurably(path, pemOf(privateKey));
		this.#signer = signerOf(privateKey);
		return this.#signer;
	}

	#readOrCreate(): Signer {
		const found = this.#read();
		if (found !== undefined) return found;
		const { privateKey } = generateKeyPairSync("ed25519");
		if (createDurably(this.#keyPath(), pemOf(privateKey))) this.trust(signerOf(privateKey).publicKey, "this node");
		// Whoever else made one first has it: what is on disk counts.
		const kept = this.#read();
		if (kept === undefined) throw fail("key-unusable", { path: this.#keyPath(), why: "it vanished while it was made" });
		return kept;
	}

	#read(): Signer | undefined {
		const path = this.#keyPath();
		const pem = readSecret(path);
		if (pem === undefined) return undefined;
		try {
			return signerOf(createPrivateKey({ key: pem, format: "pem" }));
		} catch (cause) {
			throw fail("key-unusable", { path, why: "it is not an Ed25519 private key in PEM" }, cause);
		}
	}

	#readTrusted(path: string): TrustedKey {
		const parsed = parsePublicKey(readOwn(path)?.toString("utf8") ?? "");
		if (parsed.kind === "invalid") throw fail("key-unusable", { path, why: parsed.reason.sentence });
		return { key: parsed.key, label: parsed.label, role: "trusted" };
	}

	#keyPath(): string {
		return join(this.#directory, "node.key");
	}
}

/** Opens the key store in a directory; makes directory and key on first use. */
export function openKeyStore(directory: string, clock: Clock = systemClock): KeyStore {
	return new KeyStore(directory, clock);
}

function pemOf(privateKey: KeyObject): Buffer {
	return Buffer.from(privateKey.export({ format: "pem", type: "pkcs8" }));
}
