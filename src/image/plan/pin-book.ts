import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { canonicalJson, type Json, parseJsonStrict } from "../../core/index.ts";
import { fail } from "../failures.ts";
import type { Recipe } from "../recipe/schema.ts";
import { lockSchema, type Pin, type Pins } from "./schema.ts";

/** `remembered`: names mean what they meant the last time. `update`: all are looked up again. */
export type PinMode = "remembered" | "update";

/** What the names of one recipe meant, from its lock file or from the cache; looks up what is not known yet. */
export class PinBook {
	readonly #known: Pins;
	readonly #kept: Pins;
	readonly #used: Record<string, Pin> = {};
	#fresh = 0;

	/** `kept` stays written down without being believed: an update looks up again what it needs, and other platforms keep theirs. */
	constructor(known: Pins, kept: Pins = known) {
		this.#known = known;
		this.#kept = kept;
	}

	/** The pin of that key and kind. `lookUp` asks the world. */
	async pin<Kind extends Pin["kind"]>(
		kind: Kind,
		key: string,
		lookUp: () => Promise<Extract<Pin, { kind: Kind }>>,
	): Promise<Extract<Pin, { kind: Kind }>> {
		const name = `${kind} ${key}`;
		const known = this.#used[name] ?? this.#known[name];
		const pin = known?.kind === kind ? (known as Extract<Pin, { kind: Kind }>) : await lookUp();
		if (pin !== known) this.#fresh += 1;
		this.#used[name] = pin;
		return pin;
	}

	/** Those that this build needed, and those of other platforms that were known. */
	all(): Pins {
		return { ...this.#kept, ...this.#used };
	}

	get lookedUp(): number {
		return this.#fresh;
	}
}

/** Throws VouchError `image-lock-invalid`: a lock that can't be read must not be taken for none. */
export async function openPinBook(recipe: Recipe, cacheDirectory: string, mode: PinMode): Promise<PinBook> {
	const remembered = await readPins(rememberedPath(recipe, cacheDirectory)).catch(() => undefined);
	const { lockFile } = recipe;
	// One that can't be read is what an update mends.
	const locked = mode === "update" ? readPins(lockFile ?? "").catch(() => undefined) : readLock(lockFile);
	const pins = { ...remembered, ...(await locked) };
	return mode === "update" ? new PinBook({}, pins) : new PinBook(pins);
}

/** For the next build of this recipe on this machine; and, where asked, for everybody's. */
export async function keepPins(book: PinBook, recipe: Recipe, cacheDirectory: string): Promise<void> {
	if (book.lookedUp > 0) await writePins(rememberedPath(recipe, cacheDirectory), book.all(), 0o600);
}

/** Throws VouchError `image-lock-invalid` when there is no place for it. */
export async function writeLock(book: PinBook, recipe: Recipe): Promise<string> {
	if (recipe.lockFile === null) {
		throw fail("image-lock-invalid", { path: "a lock file", reason: "this source is no folder to keep one in" });
	}
	await writePins(recipe.lockFile, book.all(), 0o644);
	return recipe.lockFile;
}

/** By where the source is: flags that change how it is built don't make its names mean something else. */
function rememberedPath(recipe: Recipe, cacheDirectory: string): string {
	const { source, lockFile } = recipe;
	const place = "path" in source ? source.path : canonicalJson(source as Json);
	const key = createHash("sha256")
		.update(`${place}\n${lockFile ?? ""}`)
		.digest("hex");
	return join(cacheDirectory, "pins", `${key}.json`);
}

async function readLock(path: string | null): Promise<Pins | undefined> {
	if (path === null) return undefined;
	try {
		return await readPins(path);
	} catch (error) {
		throw fail("image-lock-invalid", { path, reason: (error as Error).message.split("\n")[0] ?? "" }, error);
	}
}

/** Undefined when there is none. */
async function readPins(path: string): Promise<Pins | undefined> {
	let text: string;
	try {
		text = await readFile(path, "utf8");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
	const parsed = lockSchema.safeParse(parseJsonStrict(text));
	if (!parsed.success) throw new Error("it is not a lock of this Vouch");
	return parsed.data.pins;
}

/** Sorted and indented: a person reads what an update changed. Untouched when nothing did. */
async function writePins(path: string, pins: Pins, mode: number): Promise<void> {
	const sorted = Object.fromEntries(Object.entries(pins).sort(([left], [right]) => (left < right ? -1 : 1)));
	const text = `${JSON.stringify({ schema: "vouch.image-lock/v1", pins: sorted }, null, "\t")}\n`;
	if ((await readFile(path, "utf8").catch(() => "")) === text) return;
	await mkdir(dirname(path), { recursive: true, mode: 0o755 });
	const temporary = `${path}.${process.pid}.new`;
	await writeFile(temporary, text, { mode });
	await rename(temporary, path);
}
