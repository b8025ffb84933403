/**
 * The main job, told from start to end: an untrusted script runs in the sandbox with one server allowed, each attempt is shown,
 * its receipt is verified, and a copy with one changed byte is refused. Touches no network but loopback.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";
import { Worker } from "node:worker_threads";

const vouch = join(import.meta.dirname, "../../bin/vouch");
const workspace = mkdtempSync(join(tmpdir(), "vouch-first-run-"));
const secretFolder = join(homedir(), ".vouch-first-run");
const receipt = join(workspace, "..", `${workspace.split("/").at(-1)}.receipt.json`);

function heading(text: string): void {
	console.log(`\n${styleText("bold", `== ${text}`)}`);
}

function run(...argv: string[]): number {
	console.log(`$ vouch ${argv.map((word) => word.replace(homedir(), "~")).join(" ")}\n`);
	const { status, error } = spawnSync(vouch, argv, { cwd: workspace, stdio: ["ignore", "inherit", "inherit"] });
	if (error !== undefined) throw error;
	return status ?? 1;
}

/** The server answers from a thread of its own, because this one waits for vouch. */
async function startServer(): Promise<{ url: string; stop: () => Promise<number> }> {
	const worker = new Worker(
		`const { parentPort } = require("node:worker_threads");
		const server = require("node:http").createServer((request, response) => response.end("9.99"));
		server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`,
		{ eval: true },
	);
	const port = await new Promise<number>((resolve) => worker.once("message", resolve));
	return { url: `http://127.0.0.1:${port}`, stop: () => worker.terminate() };
}

function tamper(path: string): string {
	const bytes = readFileSync(path);
	const at = Math.floor(bytes.length / 2);
	bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
	const copy = path.replace(".receipt.json", ".tampered.receipt.json");
	writeFileSync(copy, bytes);
	console.log(`One byte of a copy changed: byte ${at} of ${bytes.length}.\n`);
	return copy;
}

function expect(what: string, got: number, wanted: number): void {
	if (got === wanted) return;
	throw new Error(`${what} exited with ${got}, not ${wanted}. \`bin/vouch doctor\` says what is missing.`);
}

async function example(): Promise<void> {
	const server = await startServer();
	mkdirSync(secretFolder, { recursive: true, mode: 0o700 });
	const secret = join(secretFolder, "secret.txt");
	writeFileSync(secret, "the launch code is 0000\n", { mode: 0o600 });
	copyFileSync(join(import.meta.dirname, "job.sh"), join(workspace, "job.sh"));
	try {
		heading("An untrusted script runs; it may reach one server and nothing else");
		const address = new URL(server.url).host;
		expect("the run", run("run", "--allow", address, "--receipt", receipt, "--", "sh", "job.sh", server.url, secret), 0);
		heading("Anyone with the public key can check the receipt, offline");
		expect("verify", run("verify", receipt), 0);
		heading("A receipt that was touched is refused");
		expect("verify of a changed copy", run("verify", tamper(receipt)) === 0 ? 0 : 1, 1);
		heading("Your turn");
		console.log(`  bin/vouch run -- ls -la            run any command of yours, the network shut\n  bin/vouch runs                     what ran here\n  bin/vouch run --help               everything it can do\n`);
	} finally {
		await server.stop();
		for (const path of [workspace, secretFolder, receipt, receipt.replace(".receipt.json", ".tampered.receipt.json")]) {
			rmSync(path, { recursive: true, force: true });
		}
	}
}

try {
	await example();
} catch (error) {
	// What follows a step that failed would only hide it.
	console.error(`\nThe example went wrong: ${error instanceof Error ? error.message : String(error)}`);
	process.exitCode = 1;
}
