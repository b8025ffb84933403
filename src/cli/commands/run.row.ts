import type { CommandRow, Flag } from "../command.ts";
import { jsonFlag } from "../command.ts";

const isolationFlags: readonly Flag[] = [
	{
		name: "--isolation",
		value: "DRIVER",
		choices: ["strongest", "vm", "bwrap", "container", "qemu", "firecracker", "host"],
		summary:
			"how to isolate; strongest (the default) takes the best at native speed; vm a kernel of its own, emulated if need be",
	},
	{ name: "--accept-no-isolation", summary: "say that --isolation host protects nothing, and run all the same" },
	{
		name: "--image",
		value: "ROOT",
		completes: "file",
		summary: "an image by name, or a root: folder, tar, OCI layout or local registry reference",
	},
	{
		name: "--machine",
		value: "KIND",
		choices: ["microvm", "q35"],
		summary: "which machine QEMU makes; microvm (the default where it can) has the least in it",
	},
	{
		name: "--demand",
		value: "GUARANTEE",
		repeats: "repeats",
		summary: "refuse to run unless this guarantee is kept, e.g. separate-kernel",
	},
	{
		name: "--policy",
		value: "FILE",
		repeats: "repeats",
		completes: "file",
		summary: "a policy besides the vouch.policy.yaml found upward from the workspace",
	},
];

const networkFlags: readonly Flag[] = [
	{
		name: "--allow",
		value: "HOST[:PORT]",
		repeats: "repeats",
		summary: "let this destination be reached: host:port, *.host:port, host (80 and 443), address:port, CIDR:port",
	},
	{
		name: "--deny",
		value: "HOST[:PORT]",
		repeats: "repeats",
		summary: "refuse this destination whatever else allows it",
	},
	{
		name: "--allow-method",
		value: "HOST[:PORT]=METHODS",
		repeats: "repeats",
		summary: "on plain HTTP let only these methods through, e.g. example.com=GET,HEAD",
	},
	{
		name: "--allow-path",
		value: "HOST[:PORT]=PREFIX",
		repeats: "repeats",
		summary: "on plain HTTP let only paths below this prefix through",
	},
	{
		name: "--net",
		value: "PRESET",
		choices: ["none", "allowlist", "unrestricted"],
		summary: "none (the default), allowlist (implied by --allow), or unrestricted",
	},
];

const fileFlags: readonly Flag[] = [
	{
		name: "--workspace",
		value: "DIR",
		completes: "directory",
		summary: "folder seen as /workspace; default the current one; none for none",
	},
	{ name: "--read-only", summary: "let the command read the workspace but not write it" },
	{
		name: "--expose",
		value: "PATH",
		repeats: "repeats",
		completes: "file",
		summary: "show one more host path read-only, e.g. a toolchain outside /usr",
	},
	{
		name: "--artifact",
		value: "PATTERN",
		repeats: "repeats",
		summary: "keep these files of the workspace as they are at the end: 'dist/*.tgz', '**/*.log', 'out/' for all below",
	},
	{ name: "--cwd", value: "DIR", summary: "working directory in the sandbox; default /workspace" },
	{
		name: "--env",
		value: "NAME[=VALUE]",
		repeats: "repeats",
		summary: "set a variable; without =VALUE pass the one of this shell",
	},
	{
		name: "--tty",
		short: "-t",
		summary: "give the command a terminal of its own, as large as this one; for shells and editors",
	},
	{ name: "--interactive", short: "-i", summary: "pass stdin on, which is done anyway: -it is as elsewhere" },
	{ name: "--no-stdin", summary: "give the command an empty stdin instead of this one" },
	{
		name: "--secret",
		value: "NAME",
		repeats: "repeats",
		summary: "pass a variable of this shell and mask its value in what is stored",
	},
];

const limitFlags: readonly Flag[] = [
	{ name: "--timeout", value: "TIME", summary: "end it after this long (90s, 10m, 2h) with exit code 124" },
	{ name: "--memory", value: "SIZE", summary: "memory of all its processes, e.g. 2G" },
	{ name: "--cpus", value: "N", summary: "processor cores, e.g. 0.5" },
	{ name: "--processes", value: "N", summary: "processes and threads at once; default 4096" },
	{ name: "--open-files", value: "N", summary: "open files of each process" },
	{ name: "--disk-write", value: "SIZE", summary: "bytes written to disks in all, e.g. 5G" },
	{ name: "--output", value: "SIZE", summary: "stdout and stderr together; default 256M" },
];

const reportFlags: readonly Flag[] = [
	{ name: "--receipt", value: "FILE", completes: "file", summary: "also write the receipt here" },
	{ name: "--quiet", short: "-q", summary: "print nothing but the command's own output and failures" },
	{ ...jsonFlag, summary: "print one JSON document on stdout at the end; the command's own output goes to stderr" },
];

export const runRow: CommandRow = {
	path: ["run"],
	summary: "run a command in a sandbox, its network gated, and write a receipt",
	description: `Runs COMMAND in the strongest isolation that this machine keeps at native speed. It sees the workspace at /workspace, the
system's programs read-only, an empty home and nothing else of this machine. Nothing leaves but what --allow names.
The exit code is the command's own; Vouch's own failures exit 125, a timeout 124, a signal 128+N.`,
	operands: [
		{
			name: "command",
			summary: "the command and its arguments; put -- before it",
			presence: "one-or-more",
			completes: "nothing",
		},
	],
	flags: [...isolationFlags, ...networkFlags, ...fileFlags, ...limitFlags, ...reportFlags],
	examples: [
		{ command: "vouch run -- npm test", says: "Run tests with the network shut:" },
		{ command: "vouch run --allow api.example.com:443 -- npm test", says: "Let them reach one server:" },
		{
			command: "vouch run --isolation container --image ./rootfs -- python3 job.py",
			says: "In a container, on a root file system of your own:",
		},
		{
			command: "vouch run --isolation vm --image app -- /bin/app --flag",
			says: "In a virtual machine with a verified root:",
		},
		{ command: "vouch run --timeout 10m --memory 2G --processes 200 -- make -j4", says: "With limits:" },
		{
			command: "vouch run --secret API_TOKEN --allow api.example.com -- ./deploy.sh",
			says: "With a secret that no log or receipt will show:",
		},
		{ command: "vouch run -t -- bash", says: "A shell to look around in:" },
		{ command: "vouch run --expose ~/.nvm --env PATH -- npm test", says: "With a toolchain that lives outside /usr:" },
	],
	load: async () => (await import("../run/action.ts")).runAction,
};
