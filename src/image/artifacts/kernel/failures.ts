import { defineFailures } from "../../../core/index.ts";

/** What can go wrong on the way to a kernel and its modules. */
export const { table, fail } = defineFailures({
	"kernel-program-missing": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "Getting a kernel needs {program}, which is not installed. Run: apt-get install {package}",
	},
	"kernel-not-pinned": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"Asking Debian {suite} for {package} of {architecture}: {reason} Check the network and the machine's apt sources, then try again.",
	},
	"kernel-unknown": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Debian {suite} has no {package} of {architecture} that can be used: {reason}. Name another suite, or another platform.",
	},
	"kernel-not-fetched": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"Fetching {package} {version}: {reason} Try again; if the archive has it no more, build with a snapshot of its time, or pin anew.",
	},
	"kernel-wrong-bytes": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"Fetching {package} {version}: what came is {found}, and the pin says {expected}. Nothing was kept; check the mirror.",
	},
	"kernel-refused": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence: "Taking the kernel package {path} apart: {reason}. Fetch it again; if it stays so, pin another version.",
	},
});
