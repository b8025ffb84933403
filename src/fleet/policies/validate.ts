import { tierSchema } from "../../governance/schema.ts";

/** Conduits section 6.1. */
const MOST_PATHS = 100;
const NET_MODES: readonly unknown[] = ["none", "allowlist", "unrestricted"];
const FS_MEMBERS: readonly string[] = ["read", "write"];
const DEVICE_MEMBERS: readonly string[] = ["allowed", "denied", "approval_required"];

interface Dimensions {
	readonly fs?: object | undefined;
	readonly net?: object | undefined;
	readonly approval?: object | undefined;
	readonly device?: object | undefined;
}

/** Every mistake of a policy's dimensions, each with its member. */
export function problemsOf({ fs = {}, net = {}, approval = {}, device = {} }: Dimensions): readonly string[] {
	return [
		...Object.entries(fs).flatMap(([member, value]) => listProblems("fs", FS_MEMBERS, member, value, MOST_PATHS)),
		...netProblems(net),
		...Object.entries(approval).flatMap(([rule, tier]) =>
			tierSchema.safeParse(tier).success ? [] : [`approval.${rule}: must be one of ${tierSchema.options.join(", ")}`],
		),
		...Object.entries(device).flatMap(([member, value]) =>
			listProblems("device", DEVICE_MEMBERS, member, value, Number.MAX_SAFE_INTEGER),
		),
	];
}

function netProblems(net: { readonly mode?: unknown; readonly allow?: unknown }): string[] {
	const mode = net.mode === undefined || NET_MODES.includes(net.mode);
	return [
		...(mode ? [] : [`net.mode: must be one of ${NET_MODES.join(", ")}`]),
		...(net.allow === undefined || isTexts(net.allow) ? [] : ["net.allow: must be a list of HOST:PORT"]),
	];
}

function listProblems(
	dimension: string,
	known: readonly string[],
	member: string,
	value: unknown,
	most: number,
): string[] {
	if (!known.includes(member)) return [`${dimension}.${member}: there is no such member, only ${known.join(", ")}`];
	if (!isTexts(value)) return [`${dimension}.${member}: must be a list of text`];
	return value.length > most ? [`${dimension}.${member}: at most ${most} entries`] : [];
}

function isTexts(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((one) => typeof one === "string");
}
