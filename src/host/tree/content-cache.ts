import { createHash } from "node:crypto";
import {
	closeSync,
	constants,
	fstatSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { type FileState, STATE_FIELDS } from "./content.ts";

/**
 * Remembers which content a state of a file had: five little-endian u64 (device, inode, size, mtime ns, ctime ns) and
 * 32 bytes of SHA-256 for each, after a magic line and before the SHA-256 of all of it. A file that is missing, torn,
 * foreign or writable by others counts as empty: the scan is slower then, never wrong.
 */
export interface ContentCache {
	/** Hexadecimal SHA-256 of the file in that state. */
	lookup(state: FileState): string | undefined;
	remember(state: FileState, payload: string): void;
	/** Writes what was looked up and remembered since it was opened, so files that are gone are forgotten. */
	save(): void;
}

const MAGIC = Buffer.from("vouch tree cache v1 little-endian\n\n\n\n\n\n\n");
const STATE_BYTES = STATE_FIELDS * 8;
const RECORD_BYTES = STATE_BYTES + 32;
const STATE_WORDS = STATE_BYTES / 4;
const RECORD_WORDS = RECORD_BYTES / 4;
/** Past this size it is not one of ours: a million files take 72 MB. */
const MAX_CACHE_BYTES = 512 << 20;
/** Clocks of the kernel and of file systems lag: a state this young might still change without looking different. */
const SETTLED_NS = 2_000_000_000n;

/** @param scanStartNs wall clock in nanoseconds when the scan began, for the racy rule */
export function openContentCache(file: string | undefined, scanStartNs: bigint): ContentCache {
	const known = file === undefined ? new Uint32Array(0) : loadRecords(file);
	const slots = indexRecords(known);
	const kept = new Uint8Array(known.length / RECORD_WORDS);
	const fresh: Buffer[] = [];
	return {
		lookup: (state) => {
			const index = findRecord(known, slots, state);
			if (index === undefined) return undefined;
			kept[index] = 1;
			const offset = index * RECORD_BYTES + STATE_BYTES;
			return Buffer.from(known.buffer, known.byteOffset + offset, 32).toString("hex");
		},
		remember: (state, payload) => {
			// The rule git has for its index ("racy git"): what changed as late as the scan began is read again next time.
			const youngest = scanStartNs - SETTLED_NS;
			if ((state[3] ?? 0n) >= youngest || (state[4] ?? 0n) >= youngest) return;
			const bytes = Buffer.from(state.buffer, state.byteOffset, STATE_BYTES);
			fresh.push(Buffer.concat([bytes, Buffer.from(payload, "hex")]));
		},
		save: () => {
			if (file === undefined || (fresh.length === 0 && kept.every((flag) => flag === 1))) return;
			const records: Buffer[] = [];
			for (const [index, flag] of kept.entries()) {
				if (flag === 1) records.push(Buffer.from(known.buffer, known.byteOffset + index * RECORD_BYTES, RECORD_BYTES));
			}
			writeRecords(file, [...records, ...fresh]);
		},
	};
}

function loadRecords(file: string): Uint32Array {
	const none = new Uint32Array(0);
	try {
		const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		try {
			const stats = fstatSync(fd);
			const ours = stats.isFile() && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
			if (!ours || stats.size > MAX_CACHE_BYTES) return none;
			return recordsIn(readFileSync(fd)) ?? none;
		} finally {
			closeSync(fd);
		}
	} catch {
		return none;
	}
}

function recordsIn(bytes: Buffer): Uint32Array | undefined {
	const body = bytes.subarray(MAGIC.length, bytes.length - 32);
	if (bytes.length < MAGIC.length + 32 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
	const seal = createHash("sha256").update(MAGIC).update(body).digest();
	if (body.length % RECORD_BYTES !== 0 || !seal.equals(bytes.subarray(bytes.length - 32))) return undefined;
	const words = new Uint32Array(body.length / 4);
	Buffer.from(words.buffer).set(body);
	return words;
}

/** Open addressing by the low half of the inode number: half of the slots stay empty. 0 is an empty slot. */
function indexRecords(records: Uint32Array): Uint32Array {
	const count = records.length / RECORD_WORDS;
	const slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * count + 2)));
	for (let index = 0; index < count; index++) {
		let slot = slotOf(records[index * RECORD_WORDS + 2] ?? 0, slots.length);
		while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
		slots[slot] = index + 1;
	}
	return slots;
}

function slotOf(inodeLow: number, slotCount: number): number {
	return (Math.imul(inodeLow, 0x9e3779b1) >>> 7) & (slotCount - 1);
}

function findRecord(records: Uint32Array, slots: Uint32Array, state: FileState): number | undefined {
	const wanted = new Uint32Array(state.buffer, state.byteOffset, STATE_WORDS);
	let slot = slotOf(wanted[2] ?? 0, slots.length);
	for (let entry = slots[slot] ?? 0; entry !== 0; entry = slots[slot] ?? 0) {
		const start = (entry - 1) * RECORD_WORDS;
		let word = 0;
		while (word < STATE_WORDS && records[start + word] === wanted[word]) word += 1;
		if (word === STATE_WORDS) return entry - 1;
		slot = (slot + 1) & (slots.length - 1);
	}
	return undefined;
}

function writeRecords(file: string, records: readonly Buffer[]): void {
	const content = Buffer.concat([MAGIC, ...records]);
	const temporary = `${file}.${process.pid}.${Date.now()}.new`;
	mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
	try {
		const sealed = Buffer.concat([content, createHash("sha256").update(content).digest()]);
		writeFileSync(temporary, sealed, { flag: "wx", mode: 0o600 });
		renameSync(temporary, file);
	} catch (error) {
		rmSync(temporary, { force: true });
		throw error;
	}
}
