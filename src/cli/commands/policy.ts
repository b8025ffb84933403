import { readPolicy } from "../../governance/index.ts";
import type { Action } from "../command.ts";
import { findPolicies } from "../run/policies.ts";
import { paint, printable, printJson } from "../screen.ts";

export const policyCheckAction: Action = async ({ operands, flags }) => {
	const named = operands[0];
	const texts = named === undefined ? findPolicies(process.cwd(), []) : findPolicies("/", [named]);
	const checking = texts.map(async ({ source, text }) => {
		const read = await readPolicy(text, source);
		return { source, problems: read.kind === "policy" ? [] : read.reasons.map((reason) => reason.sentence) };
	});
	const checked = await Promise.all(checking);
	if (flags.has("--json")) printJson(checked);
	else if (checked.length === 0)
		process.stdout.write("No vouch.policy.yaml here or above: the built-in policy holds.\n");
	for (const { source, problems } of flags.has("--json") ? [] : checked) {
		const verdict =
			problems.length === 0 ? paint("green", "valid", process.stdout) : paint("red", "not valid", process.stdout);
		process.stdout.write(`${verdict}  ${source}\n${problems.map((problem) => `  - ${printable(problem)}\n`).join("")}`);
	}
	return checked.every(({ problems }) => problems.length === 0) ? 0 : 1;
};
