import { ERRNO } from "./program.ts";
import type { Architecture, ArgumentTest, SyscallRow } from "./table.ts";

/** OCI runtime specification 1.0, `linux.seccomp`: the same table for crun, which compiles it with libseccomp. */
export interface OciSeccomp {
	readonly defaultAction: "SCMP_ACT_ALLOW";
	readonly architectures: readonly [string];
	readonly syscalls: readonly OciRule[];
}

interface OciRule {
	readonly names: readonly [string];
	readonly action: "SCMP_ACT_ERRNO";
	readonly errnoRet: number;
	readonly args: readonly OciArgument[];
}

/** `(argument & value) == valueTwo`. The one comparison used: the others look at bits that the kernel cuts off. */
interface OciArgument {
	readonly index: number;
	readonly value: number;
	readonly valueTwo: number;
	readonly op: "SCMP_CMP_MASKED_EQ";
}

const OCI_ARCHITECTURE: Readonly<Record<Architecture, string>> = {
	x86_64: "SCMP_ARCH_X86_64",
	aarch64: "SCMP_ARCH_AARCH64",
};

/** libseccomp kills calls of every architecture that is not named, x32 among them. */
export function ociSeccomp(table: readonly SyscallRow[], architecture: Architecture): OciSeccomp {
	const rows = table.filter((row) => row.numbers[architecture] !== null);
	return {
		defaultAction: "SCMP_ACT_ALLOW",
		architectures: [OCI_ARCHITECTURE[architecture]],
		syscalls: rows.flatMap((row) =>
			alternativesOf(row).map((args) => ({
				names: [row.name] as const,
				action: "SCMP_ACT_ERRNO" as const,
				errnoRet: ERRNO[row.refusal],
				args,
			})),
		),
	};
}

/** libseccomp knows no "or" and one comparison per argument: each alternative becomes every combination of its tests' cases. */
function alternativesOf(row: SyscallRow): readonly (readonly OciArgument[])[] {
	if (row.when.length === 0) return [[]];
	return row.when.flatMap((tests) =>
		tests.reduce<readonly (readonly OciArgument[])[]>(
			(combinations, test) => combinations.flatMap((chosen) => casesOf(test).map((one) => [...chosen, one])),
			[[]],
		),
	);
}

function casesOf(test: ArgumentTest): readonly OciArgument[] {
	const masked = (value: number, valueTwo: number): OciArgument => {
		return { index: test.argument, value: value >>> 0, valueTwo: valueTwo >>> 0, op: "SCMP_CMP_MASKED_EQ" };
	};
	if ("anyBits" in test) return bitsOf(test.anyBits).map((bit) => masked(bit, bit));
	if ("equals" in test) return [masked(test.mask, test.equals)];
	return prefixesOutside(test.mask, test.notIn).map(([mask, value]) => masked(mask, value));
}

function bitsOf(value: number): readonly number[] {
	return Array.from({ length: 32 }, (_, index) => (1 << index) >>> 0).filter((bit) => (value & bit) !== 0);
}

/**
 * The values within `mask` that are not in `excluded`, as few (mask, value) patterns: the branches that leave the binary
 * tree of the excluded values, each cut off where it leaves.
 */
export function prefixesOutside(mask: number, excluded: readonly number[]): readonly (readonly [number, number])[] {
	const patterns: (readonly [number, number])[] = [];
	const walk = (bits: readonly number[], within: number, prefix: number, left: readonly number[]): void => {
		if (left.length === 0) {
			patterns.push([within >>> 0, prefix >>> 0]);
			return;
		}
		const [bit, ...rest] = bits;
		if (bit === undefined) return;
		for (const value of [0, bit]) {
			walk(
				rest,
				within | bit,
				prefix | value,
				left.filter((item) => (item & bit) >>> 0 === value),
			);
		}
	};
	walk([...bitsOf(mask)].reverse(), 0, 0, excluded);
	return patterns;
}
