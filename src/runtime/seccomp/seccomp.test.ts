import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { ociSeccomp, prefixesOutside } from "./oci.ts";
import {
	ANSWER,
	AUDIT_ARCHITECTURE,
	CODE,
	ERRNO,
	type Instruction,
	seccompInstructions,
	seccompProgram,
} from "./program.ts";
import { type Architecture, type ArgumentTest, SYSCALL_TABLE, type SyscallRow } from "./table.ts";

const ARCHITECTURES: readonly Architecture[] = ["x86_64", "aarch64"];

interface Call {
	readonly architecture: number;
	readonly number: number;
	readonly arguments: readonly bigint[];
}

/** What the kernel's classic BPF machine answers. */
function interpret(program: readonly Instruction[], call: Call): number {
	let accumulator = 0;
	for (let at = 0; at < program.length; at += 1) {
		const { code, jumpTrue, jumpFalse, value } = program[at] as Instruction;
		if (code === CODE.answer) return value;
		if (code === CODE.load) accumulator = wordAt(call, value);
		else if (code === CODE.and) accumulator = (accumulator & value) >>> 0;
		else at += holds(code, accumulator, value) ? jumpTrue : jumpFalse;
	}
	throw new Error("the program ran past its end");
}

function holds(code: number, accumulator: number, value: number): boolean {
	if (code === CODE.ifEqual) return accumulator === value;
	if (code === CODE.ifAtLeast) return accumulator >= value;
	if (code === CODE.ifAnyBit) return (accumulator & value) !== 0;
	throw new Error(`unknown instruction ${code}`);
}

function wordAt(call: Call, offset: number): number {
	if (offset === 0) return call.number >>> 0;
	if (offset === 4) return call.architecture >>> 0;
	const argument = call.arguments[Math.floor((offset - 16) / 8)] ?? 0n;
	return Number(offset % 8 === 0 ? argument & 0xffffffffn : argument >> 32n);
}

/** The table read directly: what each row says in its own words. */
function expected(architecture: Architecture, call: Call): number {
	if (call.architecture !== AUDIT_ARCHITECTURE[architecture]) return ANSWER.kill;
	if (architecture === "x86_64" && call.number >= 0x40000000) return ANSWER.kill;
	const row = SYSCALL_TABLE.find((one) => one.numbers[architecture] === call.number && refuses(one, call));
	return row === undefined ? ANSWER.allow : ANSWER.errno + ERRNO[row.refusal];
}

function refuses(row: SyscallRow, call: Call): boolean {
	const fits = (one: ArgumentTest): boolean => {
		const value = Number((call.arguments[one.argument] ?? 0n) & 0xffffffffn);
		if ("anyBits" in one) return (value & one.anyBits) !== 0;
		const masked = (value & one.mask) >>> 0;
		return "equals" in one ? masked === one.equals : !one.notIn.includes(masked);
	};
	return row.when.length === 0 || row.when.some((tests) => tests.every(fits));
}

/** Numbers and arguments near where rows look, mixed with anything. */
function callArbitrary(architecture: Architecture): fc.Arbitrary<Call> {
	const numbers = SYSCALL_TABLE.map((row) => row.numbers[architecture]).filter((one) => one !== null);
	const telling = [0, 1, 2, 3, 10, 16, 17, 0x40, 0x41, 0x5412, 0x541c, 0o755, 0o4755, 0o2755, 0x10000000, 0xffffffff];
	const low = fc.oneof(fc.constantFrom(...telling), fc.integer({ min: 0, max: 0xffffffff }));
	const argument = fc
		.tuple(low, fc.constantFrom(0n, 0n, 1n, 0xffffffffn))
		.map(([word, high]) => BigInt(word) | (high << 32n));
	return fc.record({
		architecture: fc.constantFrom(...Array(9).fill(AUDIT_ARCHITECTURE[architecture]), 0x40000003, 0x40000028),
		number: fc.oneof(
			fc.constantFrom(...numbers),
			fc.integer({ min: 0, max: 600 }),
			fc.integer({ min: 0, max: 0x400001ff }),
		),
		arguments: fc.array(argument, { minLength: 6, maxLength: 6 }),
	});
}

for (const architecture of ARCHITECTURES) {
	test(`the ${architecture} program answers every call as the table says`, () => {
		const program = seccompInstructions(SYSCALL_TABLE, architecture);
		fc.assert(
			fc.property(callArbitrary(architecture), (call) => {
				assert.equal(interpret(program, call), expected(architecture, call));
			}),
			{ numRuns: 5000 },
		);
	});

	test(`the ${architecture} OCI profile refuses the same calls`, () => {
		const profile = ociSeccomp(SYSCALL_TABLE, architecture);
		const nameOf = new Map(SYSCALL_TABLE.map((row) => [row.numbers[architecture], row.name]));
		fc.assert(
			fc.property(callArbitrary(architecture), (call) => {
				const own = { ...call, architecture: AUDIT_ARCHITECTURE[architecture] };
				// libseccomp itself kills x32 numbers; the profile only says what happens to the rest.
				if (own.number >= 0x40000000) return;
				const fits = profile.syscalls.filter(
					(rule) =>
						rule.names[0] === nameOf.get(own.number) &&
						rule.args.every(
							({ index, value, valueTwo }) => ((own.arguments[index] ?? 0n) & BigInt(value)) === BigInt(valueTwo),
						),
				);
				assert.equal(fits.length > 0, expected(architecture, own) !== ANSWER.allow);
			}),
			{ numRuns: 5000 },
		);
	});

	test(`libseccomp's one comparison per argument is kept in the ${architecture} profile`, () => {
		for (const rule of ociSeccomp(SYSCALL_TABLE, architecture).syscalls) {
			assert.equal(new Set(rule.args.map(({ index }) => index)).size, rule.args.length, rule.names[0]);
		}
	});

	test(`the ${architecture} program fits the kernel's limit of 4096 instructions and is 8 bytes each`, () => {
		const bytes = seccompProgram(SYSCALL_TABLE, architecture);
		assert.equal(bytes.length % 8, 0);
		assert.ok(bytes.length / 8 <= 4096);
	});
}

test("patterns outside a set match exactly the values not in it", () => {
	fc.assert(
		fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }), (excluded) => {
			const patterns = prefixesOutside(0xff, excluded);
			for (let value = 0; value < 256; value += 1) {
				const matches = patterns.filter(([mask, wanted]) => (value & mask) === wanted).length;
				assert.equal(matches, excluded.includes(value) ? 0 : 1);
			}
		}),
		{ numRuns: 100 },
	);
});

/** The kernel's own lists, where linux-libc-dev is installed. */
const HEADERS: Readonly<Record<Architecture, string>> = {
	x86_64: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
	aarch64: "/usr/include/asm-generic/unistd.h",
};

for (const architecture of ARCHITECTURES) {
	test(`every ${architecture} number is the kernel's`, (context) => {
		const header = headerText(HEADERS[architecture]);
		if (header === undefined) return context.skip(`${HEADERS[architecture]} is not installed`);
		for (const row of SYSCALL_TABLE) {
			const found: string | undefined = new RegExp(`^#define __NR_${row.name}\\s+(\\d+)$`, "m").exec(header)?.[1];
			if (found !== undefined) assert.equal(row.numbers[architecture], Number(found), row.name);
		}
	});
}

function headerText(path: string): string | undefined {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return undefined;
	}
}
