import { basename, dirname } from "node:path";
import { PassThrough } from "node:stream";
import type {
	FolderEntry,
	Host,
	ProgramResult,
	RunOptions,
	StartOptions,
	Supervised,
	SupervisionSpec,
} from "./host.ts";

/** What a scripted machine answers; what the script leaves out is not there. */
export interface HostScript {
	/** By program path or name, then by the words after it, joined by spaces; `*` answers any other words. */
	readonly programs?: Readonly<Record<string, Readonly<Record<string, Partial<ProgramResult>>>>>;
	/** Absolute path by program name; a bare program of `programs` is found in /usr/bin without being listed here. */
	readonly paths?: Readonly<Record<string, string>>;
	readonly texts?: Readonly<Record<string, string>>;
	/** Entries of folders by absolute path: `d`, `f`, or `l` and what the link says. */
	readonly entries?: Readonly<Record<string, string>>;
	readonly writable?: readonly string[];
	readonly owners?: Readonly<Record<string, number>>;
	/** Paths that exist besides `texts`. */
	readonly existing?: readonly string[];
	readonly userId?: number;
	readonly groupId?: number;
	readonly supervise?: (spec: SupervisionSpec) => Supervised | Promise<Supervised>;
}

export type HostCall =
	| { readonly call: "run"; readonly argv: readonly string[]; readonly options: RunOptions | undefined }
	| { readonly call: "start"; readonly argv: readonly string[]; readonly options: StartOptions | undefined }
	| { readonly call: "findProgram"; readonly name: string }
	| { readonly call: "readText" | "exists" | "listFolder" | "isWritable" | "ownerOf"; readonly path: string }
	| { readonly call: "supervise"; readonly spec: SupervisionSpec };

const KINDS: Readonly<Record<string, FolderEntry["kind"]>> = { d: "directory", f: "file", l: "link" };

const NOT_THERE: ProgramResult = { exitCode: 127, stdout: "", stderr: "not in the script of this fake host" };

/** A machine for tests of plans: answers from a script and records what it was asked. */
export function fakeHost(script: HostScript = {}): Host & { readonly calls: readonly HostCall[] } {
	const calls: HostCall[] = [];
	const texts = new Map(Object.entries(script.texts ?? {}));
	const answerTo = ([program, ...words]: readonly [string, ...string[]]): ProgramResult => {
		const answers = script.programs?.[program] ?? script.programs?.[program.split("/").at(-1) ?? program];
		const answer = answers?.[words.join(" ")] ?? answers?.["*"];
		return answer === undefined ? NOT_THERE : { exitCode: 0, stdout: "", stderr: "", ...answer };
	};
	const pathOf = (name: string) =>
		script.paths?.[name] ?? (script.programs?.[name] === undefined ? undefined : `/usr/bin/${name}`);
	return {
		calls,
		userId: script.userId ?? 1000,
		groupId: script.groupId ?? 1000,
		async run(argv, options) {
			calls.push({ call: "run", argv, options });
			return answerTo(argv);
		},
		start(argv, options) {
			calls.push({ call: "start", argv, options });
			const { stdout, ...rest } = answerTo(argv);
			const [input, output] = [new PassThrough().resume(), new PassThrough()];
			output.end(stdout);
			return { stdin: input, stdout: output, ended: Promise.resolve({ stdout: "", ...rest }) };
		},
		async findProgram(name) {
			calls.push({ call: "findProgram", name });
			return pathOf(name);
		},
		async readText(path) {
			calls.push({ call: "readText", path });
			return texts.get(path);
		},
		async exists(path) {
			calls.push({ call: "exists", path });
			return texts.has(path) || (script.existing ?? []).includes(path);
		},
		async listFolder(path) {
			calls.push({ call: "listFolder", path });
			return Object.entries(script.entries ?? {}).flatMap(([entry, what]) => {
				if (dirname(entry) !== path) return [];
				const [letter = "", target = ""] = what.split(" ");
				return [{ name: basename(entry), kind: KINDS[letter] ?? "other", target }];
			});
		},
		async isWritable(path) {
			calls.push({ call: "isWritable", path });
			return (script.writable ?? []).includes(path);
		},
		async ownerOf(path) {
			calls.push({ call: "ownerOf", path });
			return script.owners?.[path];
		},
		expectRun() {},
		async supervise(spec) {
			calls.push({ call: "supervise", spec });
			if (script.supervise === undefined) throw new Error("this fake host has no script for supervise()");
			return script.supervise(spec);
		},
	};
}
