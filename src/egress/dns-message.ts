import { AUTHORITATIVE_ANSWER, decode, encode, type Packet, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";

export interface Question {
	readonly id: number;
	readonly flags: number;
	/** As asked, without the last dot. */
	readonly name: string;
	/** `A`, `AAAA`, … or `UNKNOWN_n`. */
	readonly type: string;
}

export type QuestionParse =
	| { readonly state: "question"; readonly question: Question }
	/** A header that can be answered with FORMERR. */
	| { readonly state: "malformed"; readonly id: number }
	/** Not a question at all: answering could start a loop. */
	| { readonly state: "dropped" };

const HEADER_BYTES = 12;
const RESPONSE_BIT = 0x8000;
const OPCODE_MASK = 0x7800;
/** RFC 1035 section 4.1.1. */
export const RCODE = { noError: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;

/** Reads one query: one question of class IN, nothing in the other sections but EDNS. Never throws. */
export function parseQuestion(message: Buffer, maxBytes: number): QuestionParse {
	if (message.length < HEADER_BYTES) return { state: "dropped" };
	const id = message.readUInt16BE(0);
	const flags = message.readUInt16BE(2);
	if ((flags & RESPONSE_BIT) !== 0) return { state: "dropped" };
	const malformed: QuestionParse = { state: "malformed", id };
	const counts = [4, 6, 8, 10].map((offset) => message.readUInt16BE(offset));
	// Checked before the library sees it: counts of 65 535 must not make it loop.
	if (message.length > maxBytes || (flags & OPCODE_MASK) !== 0) return malformed;
	if (counts[0] !== 1 || counts[1] !== 0 || counts[2] !== 0 || (counts[3] ?? 0) > 1) return malformed;
	// A question starts its message, so a compressed name in it points nowhere good.
	if (((message[HEADER_BYTES] ?? 0) & 0xc0) !== 0) return malformed;
	try {
		const [asked] = decode(message).questions ?? [];
		if (asked === undefined || (asked.class ?? "IN") !== "IN") return malformed;
		return { state: "question", question: { id, flags, name: asked.name, type: asked.type } };
	} catch {
		return malformed;
	}
}

/** The answer to a question: addresses of it, or none with a code. At most 512 bytes by construction. */
export function answerTo(question: Question, code: number, address: string | null, ttlSeconds: number): Buffer {
	const packet: Packet = {
		type: "response",
		id: question.id,
		flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | (question.flags & RECURSION_DESIRED) | code,
		questions: [{ name: question.name, type: question.type as "A", class: "IN" }],
		answers: address === null ? [] : [recordOf(question.name, address, ttlSeconds)],
	};
	return encode(packet);
}

function recordOf(name: string, address: string, ttl: number) {
	return {
		name,
		type: address.includes(":") ? ("AAAA" as const) : ("A" as const),
		class: "IN" as const,
		ttl,
		data: address,
	};
}

/** A header alone. */
export function errorAnswer(id: number, code: number): Buffer {
	const header = Buffer.alloc(HEADER_BYTES);
	header.writeUInt16BE(id, 0);
	header.writeUInt16BE(RESPONSE_BIT | code, 2);
	return header;
}
