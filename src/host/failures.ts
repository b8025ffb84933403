import { defineFailures } from "../core/index.ts";

/** What can go wrong between Vouch and the machine. */
export const { table, failure, fail } = defineFailures({
	"supervisor-missing": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "The program that supervises runs is not built ({path}), and building it failed: {reason} Run: {fix}",
	},
	"supervisor-lost": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "The run's supervisor did not come up: {reason} It was started with: {command}",
	},
	"instruction-invalid": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "The launch plan holds a {what} that no program can be given: {reason}.",
	},
	"network-tool-missing": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "Gating the network of a run needs {tool}, which is not installed. Run: apt-get install {package}",
	},
});
