import type { Architecture, ArgumentTest, Refusal, SyscallRow } from "./table.ts";

/**
 * The table as a classic BPF program, the form that seccomp(2) and `bwrap --seccomp FD` take: an array of
 * `struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }` in the machine's (little) byte order.
 *
 *   wrong architecture, x32 -> kill the process      (their numbers would mean other calls)
 *   each row                -> its errno             (one block each, which skips itself when it does not fit)
 *   the rest                -> allow
 */
export interface Instruction {
	readonly code: number;
	readonly jumpTrue: number;
	readonly jumpFalse: number;
	readonly value: number;
}

/** linux/bpf_common.h: BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, JGE, JSET, BPF_RET|K. */
export const CODE = { load: 0x20, and: 0x54, ifEqual: 0x15, ifAtLeast: 0x35, ifAnyBit: 0x45, answer: 0x06 } as const;

/** linux/seccomp.h. The errno sits in the low 16 bits. */
export const ANSWER = { kill: 0x80000000, errno: 0x00050000, allow: 0x7fff0000 } as const;
export const ERRNO: Readonly<Record<Refusal, number>> = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 };

/** linux/audit.h AUDIT_ARCH_*. */
export const AUDIT_ARCHITECTURE: Readonly<Record<Architecture, number>> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };

/** Offsets in struct seccomp_data; arguments are u64, of which the low half comes first. */
const [OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_ARGUMENTS] = [0, 4, 16];
const X32_BIT = 0x40000000;

export function seccompInstructions(table: readonly SyscallRow[], architecture: Architecture): readonly Instruction[] {
	const program = [
		load(OFFSET_ARCHITECTURE),
		jump(CODE.ifEqual, AUDIT_ARCHITECTURE[architecture], 1, 0),
		answer(ANSWER.kill),
		load(OFFSET_NUMBER),
	];
	if (architecture === "x86_64") program.push(jump(CODE.ifAtLeast, X32_BIT, 0, 1), answer(ANSWER.kill));
	for (const row of table) {
		const number = row.numbers[architecture];
		if (number === null) continue;
		const refuse = answer(ANSWER.errno | ERRNO[row.refusal]);
		if (row.when.length === 0) program.push(jump(CODE.ifEqual, number, 0, 1), refuse);
		else program.push(...guardedBlock(number, row, refuse));
	}
	return [...program, answer(ANSWER.allow)];
}

export function seccompProgram(table: readonly SyscallRow[], architecture: Architecture): Uint8Array {
	return encodeInstructions(seccompInstructions(table, architecture));
}

function encodeInstructions(instructions: readonly Instruction[]): Uint8Array {
	const bytes = Buffer.alloc(instructions.length * 8);
	for (const [index, { code, jumpTrue, jumpFalse, value }] of instructions.entries()) {
		bytes.writeUInt16LE(code, index * 8);
		bytes.writeUInt8(jumpTrue, index * 8 + 2);
		bytes.writeUInt8(jumpFalse, index * 8 + 3);
		bytes.writeUInt32LE(value, index * 8 + 4);
	}
	return new Uint8Array(bytes);
}

/** `if (number fits) { for each alternative: if (every test holds) refuse }`, then the number is loaded again. */
function guardedBlock(number: number, row: SyscallRow, refuse: Instruction): Instruction[] {
	const body = row.when.flatMap((tests) => alternative(tests, refuse));
	return [jump(CODE.ifEqual, number, 0, body.length + 1), ...body, load(OFFSET_NUMBER)];
}

function alternative(tests: readonly ArgumentTest[], refuse: Instruction): Instruction[] {
	const block = [refuse];
	// Built from the end, as each failing test jumps past everything after it.
	for (const test of tests.toReversed()) block.unshift(...argumentTest(test, block.length));
	return block;
}

/** Falls through when the test holds, else skips `after` instructions more. */
function argumentTest(test: ArgumentTest, after: number): Instruction[] {
	const value = load(OFFSET_ARGUMENTS + 8 * test.argument);
	if ("anyBits" in test) return [value, jump(CODE.ifAnyBit, test.anyBits, 0, after)];
	const masked = [value, { code: CODE.and, jumpTrue: 0, jumpFalse: 0, value: test.mask }];
	if ("equals" in test) return [...masked, jump(CODE.ifEqual, test.equals, 0, after)];
	const misses = test.notIn.map((allowed, index) =>
		jump(CODE.ifEqual, allowed, after + test.notIn.length - 1 - index, 0),
	);
	return [...masked, ...misses];
}

function load(offset: number): Instruction {
	return { code: CODE.load, jumpTrue: 0, jumpFalse: 0, value: offset };
}

function answer(value: number): Instruction {
	return { code: CODE.answer, jumpTrue: 0, jumpFalse: 0, value: value >>> 0 };
}

function jump(code: number, value: number, jumpTrue: number, jumpFalse: number): Instruction {
	// The program's jumps are 8 bits wide: a longer row must be split, not truncated.
	if (jumpTrue > 255 || jumpFalse > 255) throw new RangeError("a seccomp row is too long for one jump");
	return { code, jumpTrue, jumpFalse, value: value >>> 0 };
}
