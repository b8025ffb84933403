import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { serverFlag } from "../fleet/operation-row.ts";

export const submitRow: CommandRow = {
	path: ["submit"],
	summary: "run a command on a machine of the fleet, and follow it",
	description:
		"Asks the control plane to run a command in a facility, prints its output as it comes, and ends with the command's exit code. " +
		"Several words are one command, quoted as they are; one word alone is a line for the shell. Ctrl-C cancels the directive, and a " +
		"second one stops following. Exit codes: the command's own; 124 when its time ran out, 130 when it was canceled, 125 when it " +
		"never ran.",
	operands: [{ name: "command", summary: "what to run, after --", presence: "one-or-more", completes: "nothing" }],
	flags: [
		{
			name: "--facility",
			value: "FACILITY",
			completes: "facility",
			summary: "workspace that it runs in, by id or name; default the only one",
		},
		{
			name: "--profile",
			value: "PROFILE",
			choices: ["untrusted", "trusted", "host", "darwin-automation"],
			summary: "how much it is trusted; default untrusted",
		},
		{
			name: "--isolation",
			value: "KIND",
			choices: ["vm", "firecracker", "qemu", "bwrap", "container"],
			summary: "what holds it, instead of a profile; vm is a machine of its own, which needs an image",
		},
		{
			name: "--image",
			value: "IMAGE",
			completes: "image",
			summary: "run in this image: NAME of this machine's store, or NAME@sha256:… of its machine's or a registry's",
		},
		{
			name: "--net",
			value: "MODE",
			choices: ["none", "allowlist", "unrestricted"],
			summary: "what it may reach; default none, or allowlist with --allow",
		},
		{ name: "--allow", value: "HOST:PORT", repeats: "repeats", summary: "let it reach this" },
		{
			name: "--artifact",
			value: "PATTERN",
			repeats: "repeats",
			summary:
				"keep these files of the facility as they are at the end: 'dist/*.tgz', '**/*.log', 'out/' for all below",
		},
		{
			name: "--secret",
			value: "NAME",
			repeats: "repeats",
			summary: "give it this secret of its machine, as a file below /run/secrets; a policy must allow it",
		},
		{
			name: "--secret-stdin",
			value: "NAME",
			summary: "give it this secret of its machine as its input; a policy must allow it",
		},
		{ name: "--timeout", value: "TIME", summary: "end it after this, as 90s, 10m, 2h; default 5m" },
		{ name: "--memory", value: "SIZE", summary: "most memory, as 512M or 2G" },
		{ name: "--cpu", value: "CORES", summary: "most processor time, as 0.5 or 2" },
		{ name: "--disk", value: "SIZE", summary: "most written to disk" },
		{ name: "--cwd", value: "PATH", summary: "folder of the facility to run in" },
		{ name: "--shell", value: "PATH", summary: "shell that reads the command; default the machine's sh" },
		{ name: "--priority", value: "N", summary: "-100 to 100, higher runs first; default 0" },
		{
			name: "--attempts",
			value: "N",
			summary: "begin again when its machine is lost, up to N times in all; default 1",
		},
		{ name: "--key", value: "TEXT", summary: "submitting again with the same key gives the same directive" },
		{ name: "--detach", summary: "print its id and go, instead of following" },
		serverFlag,
		{ ...jsonFlag, summary: "print the directive as JSON when it has ended, without its output" },
	],
	examples: [
		{
			command: "vouch submit --facility app --net allowlist --allow github.com:443 -- make test",
			says: "Tests that fetch from one server:",
		},
		{
			command: "vouch submit --facility app --image tools --isolation vm -- make test",
			says: "In a machine of its own, booted from an image:",
		},
		{ command: "vouch submit --facility app 'make && make install DESTDIR=out'", says: "A line for the shell:" },
		{
			command: "vouch submit --facility app --artifact 'dist/*.tgz' -- make dist",
			says: "What it makes; then `vouch artifacts ID --to out`:",
		},
		{ command: "id=$(vouch submit --facility app --detach -- make)", says: "To look at it later:" },
	],
	load: async () => (await import("./submit.ts")).submitAction,
};
