import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { realHost, type Supervised } from "../../src/host/index.ts";
import { FrontDoor, program } from "./front-door.ts";

const door = new FrontDoor();
after(() => door.close());

/** A person at a terminal, whose shell runs this script; `vouch` in it is the real one. */
class Person {
	readonly #window: Supervised;
	#seen = "";

	private constructor(window: Supervised) {
		this.#window = window;
		window.stdout.on("data", (part: Buffer) => {
			this.#seen += part.toString();
		});
		window.stderr.resume();
	}

	static async at(script: string): Promise<Person> {
		const words = ["sh", "-c", `vouch() { ${program} "$@"; }; stty -g; ${script}; stty -g`];
		return new Person(
			await realHost().supervise({
				...{ wrapper: [], controlGroups: [], resourceLimits: [], privateMounts: null, network: null, descriptors: [] },
				...{ signalTarget: "program", diskWriteBytes: null, afterwards: [], workingDirectory: door.workspace },
				terminal: { descriptor: 3, size: { rows: 31, columns: 97 } },
				argv: ["/proc/self/fd/3", "--terminal", "3", ...words],
				environment: door.environment as Record<string, string>,
			}),
		);
	}

	async sees(text: string): Promise<void> {
		for (let waited = 0; !this.#seen.includes(text) && waited < 60_000; waited += 20) await delay(20);
		assert.ok(this.#seen.includes(text), `${text} in ${JSON.stringify(this.#seen)}`);
	}

	types(keys: string): void {
		this.#window.stdin.write(keys);
	}

	resizesTo(rows: number, columns: number): void {
		this.#window.resize({ rows, columns });
	}

	/** All that was seen between the two lines that say how the terminal is set; they must be the same. */
	async leaves(): Promise<string> {
		await this.#window.ended;
		const lines = this.#seen.trimEnd().split("\r\n");
		assert.equal(lines.at(-1), lines[0], "the terminal is as it was");
		assert.doesNotMatch(this.#seen, /[^\r]\n/, "each line begins at the left, the report's too");
		return lines.slice(1, -1).join("\n");
	}
}

test("-it gives a terminal like this one that follows it, and keys go to the command", async () => {
	const script = `stty size; echo $TERM; trap "echo interrupted" INT
		while [ "$(stty size)" = "31 97" ]; do sleep 0.05; done; stty size; stty -echo; printf 'a\\nb\\n'; read line; echo "got $line"
		echo waiting; sleep 60; exit 5`;
	const person = await Person.at(`vouch run -it -q -- sh -c '${script.replaceAll("'", `'"'"'`)}'; echo ended $?`);
	await person.sees("31 97");
	person.resizesTo(40, 120);
	await person.sees("b\r\n");
	person.types("hello\r");
	await person.sees("waiting");
	person.types("\x03");
	const shown = await person.leaves();
	assert.match(shown, /^31 97\nxterm\n40 120\na\nb\ngot hello\nwaiting\n\^?C?interrupted\nended 5$/);
	const [run = ""] = readdirSync(join(door.data, "runs")).sort().slice(-1);
	assert.match(readFileSync(join(door.data, "runs", run, "stdout"), "utf8"), /^31 97\r\nxterm\r\n40 120\r\n/);
	const [receipt = ""] = readdirSync(join(door.data, "runs", run)).filter((name) => name.endsWith("receipt.json"));
	const { code } = await door.run(["verify", join(door.data, "runs", run, receipt)]);
	assert.equal(code, 0);
	const shownRun = await door.run(["show", run, "--json"]);
	assert.match(shownRun.stdout.toString(), /"tty": true/);
});

test("the terminal is as it was after a timeout", async () => {
	const person = await Person.at("vouch run -t --timeout 1s -- sleep 60; echo ended $?");
	assert.match(await person.leaves(), /\nvouch: time is up\n.*receipt.*\nended 124$/s);
});

test("the terminal is as it was after a signal", async () => {
	const pidFile = join(door.directory, "pid");
	const command = `${program} run -t -q -- sh -c "echo up; exec sleep 60"`;
	const person = await Person.at(`sh -c 'echo $$ > ${pidFile}; exec ${command}'; echo ended $?`);
	await person.sees("up\r\n");
	process.kill(Number(readFileSync(pidFile, "utf8")), "SIGTERM");
	assert.equal(await person.leaves(), "up\nended 143");
});

test("without a terminal outside there is one inside all the same, of a usual size, and input is typed into it", async () => {
	const { code, stdout } = await door.run(["run", "-t", "-q", "--", "sh", "-c", "stty size; stty -echo; cat; exit 3"], {
		input: "one\ntwo",
	});
	assert.equal(code, 3);
	// It is echoed too, where it was typed before that was turned off.
	assert.match(stdout.toString(), /24 80\r\n(one\r\ntwo)?one\r\ntwo$/);
});
