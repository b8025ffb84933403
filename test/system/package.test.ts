import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after, type TestContext } from "node:test";

const root = dirname(dirname(import.meta.dirname));
const directory = mkdtempSync(join(tmpdir(), "vouch-package-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function run(argv: readonly [string, ...string[]], environment: NodeJS.ProcessEnv, workingDirectory = directory) {
	const [program, ...args] = argv;
	return spawnSync(program, args, { cwd: workingDirectory, env: environment, encoding: "utf8", maxBuffer: 2 ** 24 });
}

/** As a stranger's shell: none of this tree's programs, and a home of its own. */
const stranger: NodeJS.ProcessEnv = {
	PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	HOME: join(directory, "home"),
};

/** The path of the installed command, or undefined when the registry could not be asked. */
function install(context: TestContext): string | undefined {
	const packed = run(["npm", "pack", "--json", "--pack-destination", directory], process.env, root);
	assert.equal(packed.status, 0, packed.stderr);
	// prepack's own output comes first.
	const [{ filename }]: [{ filename: string }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf("[\n")));
	const prefix = join(directory, "prefix");
	const flags = ["--prefix", prefix, "--prefer-offline", "--no-audit", "--no-fund"];
	const installed = run(["npm", "install", "--global", ...flags, join(directory, filename)], process.env);
	if (installed.status === 0) return join(prefix, "bin/vouch");
	if (!/E(?:NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT|NETUNREACH)\b/.test(installed.stderr)) assert.fail(installed.stderr);
	context.skip("the npm registry cannot be reached, and the package's dependencies are not all in npm's cache");
	return undefined;
}

test("the package installs globally and works without this tree", async (context) => {
	const vouch = install(context);
	if (vouch === undefined) return;
	const version = run([vouch, "--version"], stranger);
	assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/, version.stderr);
	const doctor = run([vouch, "doctor"], stranger);
	assert.ok(doctor.status === 0 || doctor.status === 1, doctor.stderr);
	assert.match(doctor.stdout, /bwrap/);
	const created = run([vouch, "create", "hello", "--template", "c"], stranger);
	assert.equal(created.status, 0, created.stderr);
	assert.ok(existsSync(join(directory, "hello/Dockerfile")), "the package brings no templates");
	const refused = run([vouch, "rnu"], stranger);
	assert.equal(refused.status, 125);
	assert.match(refused.stderr, /run/);
	const ran = run([vouch, "run", "--isolation", "bwrap", "--workspace", "none", "--", "echo", "hello"], stranger);
	assert.equal(ran.stdout, "hello\n", ran.stderr);
	assert.equal(ran.status, 0);
	await useFleet(vouch);
	useClient(dirname(dirname(vouch)));
});

/** A control plane and an agent of the installed package, and a directive through both. */
async function useFleet(vouch: string): Promise<void> {
	const up = spawn(vouch, ["up", "--port", "0"], { env: stranger, stdio: ["ignore", "pipe", "inherit"] });
	try {
		let said = "";
		for await (const part of up.stdout) {
			said += part;
			if (said.includes("Ctrl-C")) break;
		}
		const made = run([vouch, "facility", "create", "--empty", "--name", "app"], stranger);
		assert.equal(made.status, 0, `${said}\n${made.stderr}`);
		const submitted = run([vouch, "submit", "--facility", "app", "--", "echo", "from the fleet"], stranger);
		assert.equal(submitted.stdout, "from the fleet\n", submitted.stderr);
		assert.equal(submitted.status, 0, submitted.stderr);
	} finally {
		up.kill("SIGINT");
		if (up.exitCode === null) await once(up, "exit");
	}
}

/** A program of somebody else that imports `vouch/client`, checked against the package's types and run. */
function useClient(prefix: string): void {
	const project = join(directory, "project");
	mkdirSync(join(project, "node_modules"), { recursive: true });
	symlinkSync(join(prefix, "lib/node_modules/vouch"), join(project, "node_modules/vouch"));
	writeFileSync(join(project, "package.json"), '{"type": "module"}');
	const call = 'connect({ server: "http://127.0.0.1:1" }).directives';
	const text = (given: string) =>
		`import { connect } from "vouch/client";\nconsole.log(typeof ${call}.show, ${given});\n`;
	const check = (given: string) => {
		writeFileSync(join(project, "program.ts"), text(given));
		const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--module", "nodenext"];
		return run([process.execPath, ...tsc, "--skipLibCheck", "program.ts"], stranger, project);
	};
	assert.match(check(`${call}.show({ directive: 1 })`).stdout, /directive/);
	const good = check(`${call}.show`);
	assert.equal(good.status, 0, good.stdout);
	const ran = run([process.execPath, "program.ts"], stranger, project);
	assert.match(ran.stdout, /^function/, ran.stderr);
}
