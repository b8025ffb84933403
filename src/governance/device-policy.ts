/** Which device capabilities may be invoked: DevicePolicyV1, conduits section 6.5. */
export interface DeviceRules {
	readonly allowed?: readonly string[] | undefined;
	readonly denied?: readonly string[] | undefined;
	readonly approval_required?: readonly string[] | undefined;
}

export interface DeviceVerdict {
	readonly verdict: "allowed" | "denied" | "needs_approval";
	readonly reason: string;
}

/** `*` matches all, `camera.*` all that starts with `camera.` at any depth, anything else itself. */
export function matchesCapability(pattern: string, capability: string): boolean {
	return (
		pattern === "*" || pattern === capability || (pattern.endsWith(".*") && capability.startsWith(pattern.slice(0, -1)))
	);
}

/** Whether everything that `narrow` matches is matched by `wide`. */
function coversPattern(wide: string, narrow: string): boolean {
	return wide === "*" || (wide.endsWith(".*") && narrow.startsWith(wide.slice(0, -1)));
}

/** Common patterns, then those of either side that one of the other covers, each once. */
export function intersectPatterns(left: readonly string[], right: readonly string[]): string[] {
	return [
		...new Set([
			...left.filter((pattern) => right.includes(pattern)),
			...left.filter((pattern) => right.some((wide) => coversPattern(wide, pattern))),
			...right.filter((pattern) => left.some((wide) => coversPattern(wide, pattern))),
		]),
	];
}

/** Over policies by ascending priority. No `allowed` anywhere is an empty list, which denies all. */
export function mergeDevice(policies: readonly DeviceRules[]): Required<{ [Key in keyof DeviceRules]: string[] }> {
	const union = (key: "denied" | "approval_required") => [...new Set(policies.flatMap((rules) => rules[key] ?? []))];
	const allowing = policies.map((rules) => rules.allowed ?? []).filter((allowed) => allowed.length > 0);
	const [first = [], ...others] = allowing;
	return {
		allowed: others.reduce<string[]>((kept, allowed) => intersectPatterns(kept, allowed), [...first]),
		denied: union("denied"),
		approval_required: union("approval_required"),
	};
}

export function evaluateDevice(capability: string, rules: DeviceRules): DeviceVerdict {
	const matching = (patterns: readonly string[] | undefined) =>
		patterns?.find((pattern) => matchesCapability(pattern, capability));
	const denied = matching(rules.denied);
	if (denied !== undefined) return { verdict: "denied", reason: `${capability} is explicitly denied by ${denied}` };
	if (matching(rules.allowed) === undefined)
		return { verdict: "denied", reason: `${capability} is not in allowed capabilities` };
	const asked = matching(rules.approval_required);
	return asked === undefined
		? { verdict: "allowed", reason: `${capability} is allowed` }
		: { verdict: "needs_approval", reason: `${capability} needs approval because of ${asked}` };
}
