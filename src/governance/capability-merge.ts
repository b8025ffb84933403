import type { Json } from "../core/index.ts";
import { coversDestination, parseDestination } from "./destinations.ts";
import { type DeviceRules, mergeDevice } from "./device-policy.ts";
import { type FsRules, intersectFs } from "./paths.ts";
import type { Tier } from "./schema.ts";
import { mergeApproval } from "./tiers.ts";

/** Policies of the node protocol and their merge, conduits sections 6.2, 6.3 and 6.7. Most restrictive wins. */
export interface NetCapability {
	readonly mode?: string | undefined;
	readonly allow?: readonly string[] | undefined;
	readonly [member: string]: Json | undefined;
}

export interface CapabilityPolicy {
	readonly fs?: FsRules | undefined;
	readonly net?: NetCapability | undefined;
	readonly secrets?: Json | undefined;
	readonly sandbox_profile_rules?: Json | undefined;
	readonly approval?: Readonly<Record<string, Tier>> | undefined;
	readonly device?: DeviceRules | undefined;
}

export interface MergedCapabilities {
	readonly fs: { read: string[]; write: string[] } | null;
	readonly net: NetCapability | null;
	readonly secrets: Json;
	readonly sandbox_profile_rules: Json;
	readonly approval: Record<string, Tier>;
	readonly device: ReturnType<typeof mergeDevice> | null;
}

/** @param policies by ascending priority; a dimension that is missing or empty says nothing */
export function mergeCapabilities(policies: readonly CapabilityPolicy[]): MergedCapabilities {
	const said = <Key extends keyof CapabilityPolicy>(key: Key) =>
		policies.flatMap((policy) => (isBlank(policy[key]) ? [] : [policy[key] as NonNullable<CapabilityPolicy[Key]>]));
	const fs = said("fs").map(({ read = [], write = [] }) => ({ read: [...read], write: [...write] }));
	const net = said("net");
	const device = said("device");
	return {
		fs: fs.length === 0 ? null : fs.reduce((merged, next) => intersectFs(merged, next)),
		net: net.length === 0 ? null : net.reduce(mergeNet),
		secrets: said("secrets").at(-1) ?? {},
		sandbox_profile_rules: said("sandbox_profile_rules").at(-1) ?? {},
		approval: mergeApproval(said("approval")),
		device: device.length === 0 ? null : mergeDevice(device),
	};
}

const RANKS: Readonly<Record<string, number>> = { none: 0, allowlist: 1, unrestricted: 2 };

/** The narrower mode; of two allowlists, what both allow. An entry that can't be read covers only its own spelling. */
export function mergeNet(first: NetCapability, second: NetCapability): NetCapability {
	const ranks = [rankOf(first), rankOf(second)] as const;
	if (ranks[0] !== ranks[1]) return ranks[0] < ranks[1] ? first : second;
	return ranks[0] === RANKS.allowlist
		? { ...first, allow: intersectEntries(first.allow ?? [], second.allow ?? []) }
		: first;
}

/** What a request gets of what policies allow (section 6.7, step 3), never more than either. */
export function resolveNet(requested: NetCapability | null, policy: NetCapability | null): NetCapability | null {
	if (requested === null || policy === null) return requested ?? policy;
	return mergeNet(requested, policy);
}

/** The same for files: section 6.7, step 2. */
export function resolveFs(requested: FsRules | null, base: FsRules): { read: string[]; write: string[] } {
	const { read = [], write = [] } = base;
	return requested === null || isBlank(requested)
		? { read: [...read], write: [...write] }
		: intersectFs(base, requested);
}

/** Entries of either list that the other covers, by equality or by wildcard. */
export function intersectEntries(left: readonly string[], right: readonly string[]): string[] {
	const kept = new Map<string, string>();
	for (const [from, against] of [[left, right] as const, [right, left] as const]) {
		for (const entry of from) {
			const key = canonicalEntry(entry);
			if (!kept.has(key) && isEntryCovered(entry, against)) kept.set(key, entry);
		}
	}
	return [...kept.values()];
}

export function isEntryCovered(entry: string, by: readonly string[]): boolean {
	const narrow = parseDestination(entry, "workload-allow");
	if ("problem" in narrow) return by.includes(entry);
	const wide = by.flatMap((text) => {
		const set = parseDestination(text, "workload-allow");
		return "problem" in set ? [] : [set];
	});
	return coversDestination(wide, narrow);
}

function canonicalEntry(entry: string): string {
	return entry
		.trim()
		.toLowerCase()
		.replace(/\.(?=:|$)/, "");
}

/** A mode that is missing or unknown restricts nothing: any other policy's mode replaces it. */
function rankOf(net: NetCapability): number {
	return RANKS[net.mode ?? ""] ?? 2;
}

function isBlank(value: unknown): boolean {
	return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}
