import assert from "node:assert/strict";
import test, { before, describe } from "node:test";
import { type GuestImage, guestImage, missingFor } from "./guest-image.ts";
import { finish, Machine } from "./machine.ts";
import { hello, STREAM, TYPE, word } from "./peer.ts";
import { limits, record, setup, u16 } from "./records.ts";

const skip = missingFor("amd64") ?? false;

describe("a guest in an emulated machine", { concurrency: 2, skip }, () => {
	let image: GuestImage;
	before(() => {
		image = guestImage("amd64");
	});

	test("it runs a command as an unprivileged user, with its streams, environment, folder and exit code", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.greet();
		const ready = peer.find(TYPE.ready);
		assert.match(ready?.payload.toString("latin1", 9) ?? "", /^kernel=\d.*\nuptimeMs=\d+\nguest=\d+\n$/);
		const script = "pwd; id; echo $GREETING; cat; echo to-errors >&2; hostname; exit 7";
		await peer.sendData(
			STREAM.setup,
			setup({ arguments: ["sh", "-c", script], environment: { GREETING: "good day" }, directory: "/tmp" }),
		);
		await peer.sendData(STREAM.stdin, Buffer.from("through stdin\n"));
		peer.send(TYPE.end, STREAM.stdin);
		peer.send(TYPE.ping, 0, Buffer.from("are you there"));
		const exit = await peer.exit();
		assert.deepEqual({ ...exit, text: "" }, { how: "exited", code: 7, memoryLimitMet: 0, text: "" });
		assert.match(exit.text, /^maxRssBytes=\d+\ncpuMs=\d+\n$/);
		assert.equal(peer.text(STREAM.stdout), "/tmp\nuid=1000 gid=1000\ngood day\nthrough stdin\nvouch\n");
		assert.equal(peer.text(STREAM.stderr), "to-errors\n");
		assert.equal(peer.find(TYPE.pong)?.payload.toString(), "are you there");
		assert.ok(peer.ended.has(STREAM.stdout) && peer.ended.has(STREAM.stderr));
	});

	test("a workload in the guest reaches nothing of the machine", async () => {
		await using machine = await Machine.start(image);
		const { output } = await finish(machine, { arguments: ["actor", "attack"] });
		const done = output.split("\n").filter((line) => line.endsWith(" done"));
		// Which has become another name of /dev/null.
		assert.deepEqual(done, ["/proc/kcore done"], output);
		assert.equal(output.trim().split("\n").length, 37, output);
		for (const expected of ["vsock EAFNOSUPPORT", "packet EAFNOSUPPORT", "io-uring ENOSYS", "clock EPERM"])
			assert.ok(output.includes(`${expected}\n`), `${expected} is not in:\n${output}`);
		assert.match(output, /^other-convention killed$/m);
	});

	test("its view holds no disk, port or console, no process of the machine, and cannot be written", async () => {
		await using machine = await Machine.start(image);
		const script =
			"ls /dev; echo /proc/[0-9]*; touch /x /bin/x /dev/x 2>&1; grep -c . /proc/kallsyms; grep Cap /proc/self/status";
		const { output } = await finish(machine, { arguments: ["sh", "-c", script] });
		const devices = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
		assert.equal(output.split("\n").slice(0, 13).join(" "), devices);
		assert.match(output, /^\/proc\/2$/m);
		assert.equal(output.match(/Read-only file system|Permission denied/g)?.length, 3, output);
		assert.equal(output.match(/Cap\w+:\s0{16}/g)?.length, 5, output);
	});

	test("a signal reaches every process, and one that ends the command is told", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.greet();
		const child = "sh -c 'trap \"echo child\" USR1; echo up; while :; do sleep 0.05; done'";
		const script = `trap "echo parent" USR1; ${child} & while :; do sleep 0.05; done`;
		await peer.sendData(STREAM.setup, setup({ arguments: ["sh", "-c", script] }));
		await peer.until(() => peer.text(STREAM.stdout).includes("up\n"), "the child");
		peer.send(TYPE.signal, 0, word(10));
		const both = () => /child/.test(peer.text(STREAM.stdout)) && /parent/.test(peer.text(STREAM.stdout));
		await peer.until(both, "both answers");
		peer.send(TYPE.signal, 0, word(15));
		const exit = await peer.exit();
		assert.deepEqual([exit.how, exit.code, exit.memoryLimitMet], ["signaled", 15, 0]);
	});

	test("what a command leaves running ends with it", async () => {
		await using machine = await Machine.start(image);
		const script = "(trap '' TERM HUP; while :; do sleep 1; done) & exit 3";
		const { exit } = await finish(machine, { arguments: ["sh", "-c", script] });
		assert.deepEqual([exit.how, exit.code], ["exited", 3]);
	});

	test("limits of processes, files and memory hold, and who met the last is told", async () => {
		await using machine = await Machine.start(image);
		const script = "actor eat-processes; ulimit -n; exec actor eat-memory";
		const { exit, output } = await finish(machine, {
			arguments: ["sh", "-c", script],
			mounts: [limits(12, 64 << 20, 33, 1000)],
		});
		// The shell and the actor itself are two of twelve.
		assert.equal(output, "processes 10\n33\n");
		assert.deepEqual([exit.how, exit.code, exit.memoryLimitMet], ["signaled", 9, 1]);
	});

	test("with a terminal the command has one of the size that was asked for, and learns of another", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.greet();
		const script =
			"test -t 0 && test -t 1 && test -t 2 && stty size; trap 'stty size; exit 4' WINCH; echo set; while :; do sleep 0.05; done";
		await peer.sendData(
			STREAM.setup,
			setup({ arguments: ["sh", "-c", script], mounts: [record("T", u16(33), u16(99))] }),
		);
		await peer.until(() => peer.text(STREAM.stdout).includes("set"), "the first size");
		peer.send(TYPE.windowSize, 0, Buffer.concat([u16(40), u16(120)]));
		const exit = await peer.exit();
		assert.equal(exit.code, 4);
		assert.equal(peer.text(STREAM.stdout), "33 99\r\nset\r\n40 120\r\n");
	});

	test("a command that is not there ends as in a shell", async () => {
		await using machine = await Machine.start(image);
		const { exit, errors } = await finish(machine, { arguments: ["no-such-command"] });
		assert.deepEqual([exit.how, exit.code], ["exited", 127]);
		assert.equal(errors, "vouch: no-such-command: command not found\n");
	});

	test("a file that is no program ends as in a shell", async () => {
		await using machine = await Machine.start(image);
		const { exit, errors } = await finish(machine, { arguments: ["/etc/plain"] });
		assert.deepEqual([exit.how, exit.code], ["exited", 126]);
		assert.equal(errors, "vouch: /etc/plain: Permission denied\n");
	});

	test("the time is that of the last greeting", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.frame(TYPE.ready);
		peer.raw(hello(1, 1_000_000_000n * 1_000_000_000n));
		await peer.frame(TYPE.helloOk);
		peer.raw(hello(1, 2_000_000_000n * 1_000_000_000n));
		const answers = () => peer.frames.filter(({ type }) => type === TYPE.helloOk).length;
		await peer.until(() => answers() === 2, "a second answer");
		// An end needs no credit: none is given for the errors.
		peer.send(TYPE.credit, STREAM.stdout, word(1 << 16));
		await peer.sendData(STREAM.setup, setup({ arguments: ["date", "+%s"] }));
		await peer.exit();
		const seconds = Number(peer.text(STREAM.stdout));
		assert.ok(seconds >= 2_000_000_000 && seconds < 2_000_000_060, String(seconds));
	});

	test("without credit nothing is sent, with it everything comes in order", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		for (const stream of [STREAM.stdout, STREAM.stderr]) peer.held.add(stream);
		await peer.greet();
		await peer.sendData(STREAM.setup, setup({ arguments: ["sh", "-c", "seq 1 60000; echo errors >&2"] }));
		peer.send(TYPE.credit, STREAM.stdout, word(1000));
		await peer.until(() => peer.text(STREAM.stdout).length === 1000, "the first thousand bytes");
		peer.send(TYPE.ping, 0, Buffer.from("first"));
		await peer.frame(TYPE.pong);
		assert.equal(peer.text(STREAM.stdout).length, 1000);
		peer.send(TYPE.credit, STREAM.stderr, word(1 << 20));
		peer.send(TYPE.credit, STREAM.stdout, word(1 << 20));
		await peer.exit();
		const numbers = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join("");
		assert.ok(peer.text(STREAM.stdout) === numbers);
	});

	test("much goes in, and a command that closes its input is said to have", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.greet();
		const script = "head -c 8000000 | actor read; exec <&-; sleep 1";
		await peer.sendData(STREAM.setup, setup({ arguments: ["sh", "-c", script] }));
		await peer.sendData(STREAM.stdin, Buffer.alloc(9_000_000, "x"));
		await peer.exit();
		assert.equal(peer.text(STREAM.stdout), "8000000 bytes\n");
		assert.equal(peer.resets.get(STREAM.stdin), 3);
	});

	test("on a PC board with PCI it comes up as well", async () => {
		await using machine = await Machine.start(image, { board: "q35" });
		const { output } = await finish(machine, { arguments: ["actor", "echo", "hello"] });
		assert.equal(output, "hello\n0 bytes\n");
	});
});
