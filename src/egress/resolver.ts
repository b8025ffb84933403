import { lookup } from "node:dns/promises";
import { canonicalAddress, isAddress } from "./destination.ts";
import type { GateLimits } from "./limits.ts";

/** Looks names up for the gate itself; the sandbox's questions never reach it. */
export interface GateResolver {
	/** Every address of a name, in the order to try; rejects or is empty when there is none. */
	addressesOf(name: string): Promise<readonly string[]>;
}

/** The machine's own resolver, with /etc/hosts. */
export const systemResolver: GateResolver = {
	addressesOf: async (name) => (await lookup(name, { all: true, order: "verbatim" })).map((answer) => answer.address),
};

/** Addresses in canonical text, at most the bound, none when the look-up fails or takes too long. Never throws. */
export async function lookUp(resolver: GateResolver, name: string, limits: GateLimits): Promise<readonly string[]> {
	if (name === "localhost") return ["127.0.0.1", "::1"];
	const { promise: late, resolve: giveUp } = Promise.withResolvers<readonly string[]>();
	const timer = setTimeout(() => giveUp([]), limits.resolveMs);
	try {
		const answers = await Promise.race([resolver.addressesOf(name), late]);
		return answers.slice(0, limits.answersJudged).filter(isAddress).map(canonicalAddress);
	} catch {
		return [];
	} finally {
		clearTimeout(timer);
	}
}

/** One look-up at a time per name, its answer kept for a moment: a burst of connections asks once. */
export function rememberingResolver(inner: GateResolver, keepMs: number): GateResolver {
	const kept = new Map<string, Promise<readonly string[]>>();
	return {
		addressesOf: (name) => {
			const known = kept.get(name);
			if (known !== undefined) return known;
			const asked = inner.addressesOf(name);
			kept.set(name, asked);
			const forget = (): void => {
				kept.delete(name);
			};
			asked.then(() => setTimeout(forget, keepMs).unref(), forget);
			return asked;
		},
	};
}
