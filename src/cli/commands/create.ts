import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { reasonOf } from "../../core/index.ts";
import { isImageName } from "../../image/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { paint, printJson } from "../screen.ts";
import { packageRoot } from "../version.ts";

/** Each is a folder of `templates`. */
export const TEMPLATES = ["python", "node", "go", "rust", "c"] as const;
type Template = (typeof TEMPLATES)[number];

const ABOUT: Readonly<Record<Template, string>> = {
	python: "Python on Debian's interpreter",
	node: "JavaScript on Debian's Node.js",
	go: "Go, one static program in an image of its own",
	rust: "Rust, one static program in an image of its own",
	c: "C, one static program in an image of its own",
};

/** Stands for the project's name in every template. */
const NAME = "{{name}}";
/** The program is called by it: words that other programs and folders of an image have are no names. */
const TAKEN = [
	...["app", "bin", "usr", "lib", "etc", "src", "test", "base"],
	...["toolchain", "scratch", "python3", "node", "go", "sh"],
];

export const createAction: Action = async ({ operands: [name = ""], flags }) => {
	checkName(name);
	const template = (flags.text("--template") as Template | undefined) ?? (await askForTemplate());
	const folder = join(process.cwd(), name);
	if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) throw fail("cli.create-exists", { path: name });
	const files = filesOf(template);
	const making = `${folder}.making`;
	try {
		await mkdir(making);
	} catch (error) {
		throw fail("cli.create-failed", { path: name, reason: reasonOf(error) }, error);
	}
	try {
		for (const path of files) await writeOne(join(packageRoot, "templates", template, path), join(making, path), name);
		await rename(making, folder);
	} catch (error) {
		await rm(making, { recursive: true, force: true });
		throw fail("cli.create-failed", { path: name, reason: reasonOf(error) }, error);
	}
	if (flags.has("--json")) printJson({ name, template, folder, files });
	else process.stdout.write(nextSteps(name, files));
	return 0;
};

/** A crate, a Go module, an image and a folder at once. */
function checkName(name: string): void {
	const problem = TAKEN.includes(name)
		? `"${name}" is taken by another program or folder in the image.`
		: isImageName(name) && /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) && name.length <= 50
			? undefined
			: `"${name}" can't be the name of a project: it begins with a letter, then lower-case letters, digits and single -.`;
	if (problem !== undefined) throw fail("cli.usage", { problem });
}

async function askForTemplate(): Promise<Template> {
	const known = TEMPLATES.join(", ");
	if (!process.stdin.isTTY || !process.stderr.isTTY) {
		throw fail("cli.usage", { problem: `--template is needed: ${known}.` });
	}
	const { select, isCancel } = await import("@clack/prompts");
	const options = TEMPLATES.map((value) => ({ value, label: value, hint: ABOUT[value] }));
	const answer = await select({ message: "What is it written in?", options, output: process.stderr });
	if (isCancel(answer)) throw fail("cli.usage", { problem: "No language was chosen; nothing was made." });
	return answer;
}

function filesOf(template: Template): readonly string[] {
	const base = join(packageRoot, "templates", template);
	const found = readdirSync(base, { recursive: true, withFileTypes: true });
	return found
		.filter((entry) => entry.isFile())
		.map((entry) => join(entry.parentPath, entry.name).slice(base.length + 1))
		.sort();
}

async function writeOne(from: string, to: string, name: string): Promise<void> {
	await mkdir(dirname(to), { recursive: true });
	await writeFile(to, readFileSync(from, "utf8").replaceAll(NAME, name));
	// Packing and unpacking the program may have lost it.
	if (to.endsWith(".sh")) await chmod(to, 0o755);
}

function nextSteps(name: string, files: readonly string[]): string {
	const made = files.map((path) => `  ${name}/${path}\n`).join("");
	return `${made}
${paint("bold", "Then:", process.stdout)}
  cd ${name}
  vouch image build .
  vouch run --image ${name} --isolation vm -- ${name} README.md
`;
}
