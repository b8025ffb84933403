import type { ClaimResult, Verdict } from "./verify.ts";

/** A verdict as a screen shows it: rows and one closing line, without colours. */
export interface VerdictLines {
	readonly rows: readonly ClaimResult[];
	readonly ending: string;
	/** 0 verified, 1 rejected, 2 unreadable. */
	readonly exitCode: 0 | 1 | 2;
}

const ENDINGS = {
	verified: { ending: "verified at level L0: signed by a trusted node key, and every claim made holds", exitCode: 0 },
	rejected: { ending: "rejected: do not rely on it", exitCode: 1 },
	unreadable: { ending: "not readable as a receipt", exitCode: 2 },
} as const;

export function renderVerdict(verdict: Verdict): VerdictLines {
	return { rows: verdict.claims, ...ENDINGS[verdict.status] };
}
