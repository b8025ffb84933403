import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import type { SupervisorEvent } from "./host.ts";
import { realHost } from "./real-host.ts";
import {
	bash,
	eventually,
	needsRoot,
	networkOf,
	type Outcome,
	recordingGate,
	runToEnd,
	specOf,
} from "./supervision-fixture.ts";

const connectionsOf = (run: Outcome) => run.events.filter((event) => event.event === "connection");
const datagramsOf = (run: Outcome) => run.events.filter((event) => event.event === "datagram");
const sum = (events: readonly SupervisorEvent[], field: "bytes" | "packets") =>
	events.reduce((total, event) => total + (event.event === "datagram" ? event[field] : 0), 0);

/** Answers a stream with the same bytes, half-close and all. */
const echo = (socket: Socket) => void socket.pipe(socket);

describe("the network of a gated run", { skip: needsRoot }, () => {
	it("carries connections to any address, with their addresses in the header", async () => {
		await using gate = await recordingGate(echo);
		const addresses = [
			"93.184.216.34/80",
			"10.0.2.1/9080",
			"127.0.0.1/8080",
			"169.254.169.254/80",
			"2001:db8::1/443",
			"::1/81",
		];
		const script = `for at in ${addresses.join(" ")}; do exec 3<>/dev/tcp/$at; echo $at >&3; head -1 <&3; exec 3>&-; done`;
		const listeners = [
			{ address: "127.0.0.1", port: 8080 },
			{ address: "::1", port: 81 },
		];
		const network = networkOf(gate.path, { loopbackListeners: listeners });
		const run = await runToEnd(specOf(bash(script), { network }));
		assert.equal(run.stdout, `${addresses.join("\n")}\n`, run.stderr);
		const patterns = [
			/^VOUCH1 tcp 1 10\.0\.2\.2 \d+ 93\.184\.216\.34 80$/,
			/^VOUCH1 tcp 2 10\.0\.2\.2 \d+ 10\.0\.2\.1 9080$/,
			/^VOUCH1 tcp 3 127\.0\.0\.1 \d+ 127\.0\.0\.1 8080$/,
			/^VOUCH1 tcp 4 10\.0\.2\.2 \d+ 169\.254\.169\.254 80$/,
			/^VOUCH1 tcp 5 fd00:766f::2 \d+ 2001:db8::1 443$/,
			/^VOUCH1 tcp 6 ::1 \d+ ::1 81$/,
		];
		for (const [index, pattern] of patterns.entries()) assert.match(gate.headers[index] ?? "", pattern);
		assert.equal(gate.headers.length, patterns.length);
		for (const [index, at] of addresses.entries()) {
			const bytes = at.length + 1;
			assert.deepEqual(connectionsOf(run)[index], { event: "connection", id: index + 1, received: bytes, sent: bytes });
		}
	});

	it("carries 64 MiB both ways, unchanged, and counts them", async () => {
		const size = 64 << 20;
		const digest = createHash("sha256");
		let carried = 0;
		await using gate = await recordingGate((socket) => {
			socket.on("data", (part: Buffer) => {
				digest.update(part);
				carried += part.length;
				if (!socket.write(part)) socket.pause();
			});
			socket.on("drain", () => socket.resume());
			socket.on("end", () => socket.end());
		});
		const script = `
import hashlib, socket, threading
block = bytes(range(256)) * 4096
s = socket.create_connection(("1.2.3.4", 5)); sent = hashlib.sha256(); got = hashlib.sha256(); total = 0
def send():
    for _ in range(${size} // len(block)): s.sendall(block); sent.update(block)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
while part := s.recv(65536): got.update(part); total += len(part)
t.join(); print(total, sent.hexdigest() == got.hexdigest(), sent.hexdigest())`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network: networkOf(gate.path) }));
		assert.equal(run.stdout, `${size} True ${digest.digest("hex")}\n`, run.stderr);
		assert.equal(carried, size);
		assert.deepEqual(connectionsOf(run), [{ event: "connection", id: 1, received: size, sent: size }]);
		assert.ok((run.counters?.txBytes ?? 0) >= size && (run.counters?.rxBytes ?? 0) >= size);
	});

	it("carries half-closes each way on their own", async () => {
		await using gate = await recordingGate((socket) => {
			let seen = "";
			socket.on("data", (part: Buffer) => {
				seen += part.toString();
			});
			// Answers only once the client has closed its half.
			socket.on("end", () => socket.end(`you said ${seen}`));
		});
		const client =
			"import socket; s=socket.create_connection(('5.6.7.8',9)); s.sendall(b'abc'); s.shutdown(1); print(s.makefile().read())";
		const first = await runToEnd(specOf(["/usr/bin/python3", "-c", client], { network: networkOf(gate.path) }));
		assert.equal(first.stdout, "you said abc\n");
		let rest = "";
		await using other = await recordingGate((socket) => {
			socket.end("bye");
			socket.on("data", (part: Buffer) => {
				rest += part.toString();
			});
		});
		const late =
			"import socket,time; s=socket.create_connection(('5.6.7.8',9)); print(s.makefile().read()); s.sendall(b'still here'); s.close()";
		const second = await runToEnd(specOf(["/usr/bin/python3", "-c", late], { network: networkOf(other.path) }));
		assert.equal(second.stdout, "bye\n");
		assert.ok(await eventually(() => rest === "still here"));
	});

	it("resets a connection that the gate closes without a byte, and goes on counting what it sent", async () => {
		await using gate = await recordingGate((socket) => socket.destroy());
		const client =
			"import socket; s=socket.create_connection(('5.6.7.8',9)); s.settimeout(5)\ntry: print(s.recv(1))\nexcept OSError as e: print(e.errno)";
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", client], { network: networkOf(gate.path) }));
		assert.equal(run.stdout, "104\n");
	});

	it("counts what a client sends to a gate that has refused it", async () => {
		await using gate = await recordingGate((socket) => {
			socket.write("HTTP/1.1 403 No\r\n\r\n");
			setTimeout(() => socket.destroy(), 20);
		});
		const client = `
import socket,time
s=socket.create_connection(('5.6.7.8',9)); total=0
try:
    for i in range(50): s.sendall(b'x'*10000); total+=10000; time.sleep(0.002)
except OSError: pass
s.close(); print(total)`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", client], { network: networkOf(gate.path) }));
		const [connection] = connectionsOf(run);
		assert.equal(connection?.event === "connection" && connection.received, Number(run.stdout));
	});

	it("carries what a program sent just before it ended", async () => {
		let seen = "";
		await using gate = await recordingGate((socket) => {
			socket.on("data", (part: Buffer) => {
				seen += part.toString("latin1");
			});
			socket.on("end", () => socket.end());
		});
		const script = "exec 3<>/dev/tcp/9.9.9.9/99; head -c 200000 /dev/zero >&3; kill -9 $$";
		const run = await runToEnd(specOf(bash(script), { network: networkOf(gate.path) }));
		assert.equal(run.signal, "SIGKILL");
		assert.ok(await eventually(() => seen.length === 200_000), `${seen.length}`);
		assert.deepEqual(connectionsOf(run), [{ event: "connection", id: 1, received: 200_000, sent: 0 }]);
	});

	it("keeps back-pressure: a gate that does not read stops the program", async () => {
		await using gate = await recordingGate(() => {});
		const script = `
import socket
s=socket.create_connection(('5.6.7.8',9)); s.settimeout(0.5); n=0
try:
    while n < 1<<30: n+=s.send(b'x'*65536)
except TimeoutError: pass
print(n)`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network: networkOf(gate.path) }));
		assert.ok(Number(run.stdout) < 32 << 20, run.stdout);
	});

	it("closes what is more than the limit and goes on", async () => {
		await using gate = await recordingGate(echo);
		const script = `
import socket
kept=[]; refused=0
for i in range(20):
    s=socket.create_connection(('5.6.7.8',9)); s.settimeout(5)
    try:
        s.sendall(b'x'); assert s.recv(1)==b'x'; kept.append(s)
    except OSError: refused+=1
print(len(kept), refused)`;
		const network = networkOf(gate.path, { maxConnections: 8 });
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network }));
		assert.equal(run.stdout, "8 12\n", run.stderr);
		assert.equal(connectionsOf(run).length, 20);
	});

	it("carries many connections at once", async () => {
		await using gate = await recordingGate(echo);
		const script = `
import socket
all=[socket.create_connection(('7.7.7.7',1000+i)) for i in range(600)]
for i,s in enumerate(all): s.sendall(str(i).encode())
assert all[-1].recv(9)==b'599'
print(sum(s.recv(9)==str(i).encode() for i,s in enumerate(all[:-1])))`;
		const network = networkOf(gate.path, { maxConnections: 1000 });
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network }));
		assert.equal(run.stdout, "599\n", run.stderr);
	});

	it("carries DNS datagrams, bounded and timed", async () => {
		await using gate = await recordingGate((socket) => {
			socket.on("data", (part: Buffer) => {
				const message = part.subarray(2);
				assert.equal(part.readUInt16BE(0), message.length);
				if (message.toString() === "drop") return void socket.destroy();
				const answer = Buffer.from(`re:${message}`);
				socket.end(Buffer.concat([Buffer.from([0, answer.length]), answer]));
			});
		});
		const script = `
import socket
s=socket.socket(2,2); s.settimeout(0.3)
def ask(m):
    s.sendto(m,('10.0.2.1',53))
    try: return s.recv(999)
    except OSError as e: return type(e).__name__
print(ask(b'a'), ask(b'drop'), ask(b'longer question'))`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network: networkOf(gate.path) }));
		assert.equal(run.stdout, "b're:a' TimeoutError b're:longer question'\n", run.stderr);
		assert.match(gate.headers[0] ?? "", /^VOUCH1 dns 1 10\.0\.2\.2 \d+ 10\.0\.2\.1 53$/);
		assert.deepEqual(datagramsOf(run), []);
	});

	it("reports every other datagram as refused, summed up per destination", async () => {
		await using gate = await recordingGate(echo);
		const script = `
import socket
u=socket.socket(2,2)
for n in range(5):
    for at in (('8.8.8.8',53),('1.1.1.1',443)):
        try: u.sendto(b'x'*100,at)
        except OSError: pass
v=socket.socket(10,2)
try: v.sendto(b'y'*7,('2001:db8::9',99))
except OSError: pass
i=socket.socket(2,socket.SOCK_RAW,1); i.sendto(bytes([8,0,0xf7,0xff,0,0,0,0]),('9.9.9.9',0)); i.settimeout(0.2)
try: print(i.recv(99))
except OSError as e: print(type(e).__name__)`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network: networkOf(gate.path) }));
		assert.equal(run.stdout, "TimeoutError\n", `nothing answers a ping: ${run.stderr}`);
		const to = (destination: string) =>
			datagramsOf(run).filter((event) => event.event === "datagram" && event.destination === destination);
		assert.deepEqual([sum(to("8.8.8.8"), "packets"), sum(to("8.8.8.8"), "bytes")], [5, 500]);
		assert.deepEqual([sum(to("1.1.1.1"), "packets"), sum(to("1.1.1.1"), "bytes")], [5, 500]);
		assert.deepEqual(to("2001:db8::9"), [
			{
				event: "datagram",
				protocol: 17,
				source: "fd00:766f::2",
				destination: "2001:db8::9",
				port: 99,
				bytes: 7,
				packets: 1,
			},
		]);
		assert.deepEqual(to("9.9.9.9"), [
			{ event: "datagram", protocol: 1, source: "10.0.2.2", destination: "9.9.9.9", port: 0, bytes: 8, packets: 1 },
		]);
		assert.deepEqual(gate.headers, []);
	});

	it("sums up what is more than its table holds, and loses no byte of a flood", async () => {
		await using gate = await recordingGate(echo);
		const script = `
import socket
u=socket.socket(2,2)
for n in range(3000):
    try: u.sendto(b'x'*50,('8.8.%d.8'%(n//30),1000+n%30))
    except OSError: pass`;
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network: networkOf(gate.path) }));
		const packets = sum(datagramsOf(run), "packets");
		assert.ok(datagramsOf(run).length <= 600);
		assert.ok(datagramsOf(run).some((event) => event.event === "datagram" && event.protocol === 255));
		// A send may fail with an earlier one's refusal: what eth0 counted is what must be reported.
		const unreported = (run.counters?.txPackets ?? 0) - packets;
		assert.ok(unreported >= 0 && unreported <= 4, `${unreported} packets that are not the kernel's own chatter`);
		assert.equal(sum(datagramsOf(run), "bytes"), packets * 50);
	});

	it("explains the interface's counters", async () => {
		await using gate = await recordingGate(echo);
		const script =
			"for i in 1 2 3; do exec 3<>/dev/tcp/4.4.4.4/$i; head -c 30000 /dev/zero >&3; head -c 30000 <&3 >/dev/null; exec 3>&-; done; echo x > /dev/udp/3.3.3.3/3";
		const run = await runToEnd(specOf(bash(script), { network: networkOf(gate.path) }));
		const counters = run.counters ?? assert.fail("no counters");
		const received = connectionsOf(run).reduce(
			(total, event) => total + (event.event === "connection" ? event.received : 0),
			0,
		);
		const explained = received + sum(datagramsOf(run), "bytes") + counters.retransmittedBytes;
		assert.equal(received, 90_000);
		assert.ok(counters.txBytes - 114 * counters.txPackets <= explained);
		assert.ok(counters.txBytes > received && counters.rxBytes > received);
	});

	it("has no way out: not even to the machine's own addresses", async () => {
		await using gate = await recordingGate((socket) => socket.destroy());
		const script =
			"ip -o link | wc -l; ip route get 8.8.8.8 | head -1; ls /sys/class/net 2>/dev/null | wc -l; cat /proc/net/route | wc -l";
		const run = await runToEnd(specOf(bash(script), { network: networkOf(gate.path) }));
		assert.match(run.stdout, /^2\n8\.8\.8\.8 via 10\.0\.2\.1 dev eth0/);
	});

	it("does not start when its network cannot be set up, and says what was wrong", async () => {
		await using gate = await recordingGate(echo);
		const cases = [
			[{ firewall: "nonsense\n" }, /^nft could not set up the network: .*nonsense/],
			[{ gateCommands: "link add\n" }, /^ip could not set up the network: /],
			[{ sandboxCommands: "address add 1.2.3.4/8 dev missing0\n" }, /^ip could not set up the network: .*missing0/],
			[{ gateInterface: "gate7" }, /^The gate's interface could not be watched: No such device/],
			[
				{
					loopbackListeners: [
						{ address: "127.0.0.1", port: 5 },
						{ address: "127.0.0.1", port: 5 },
					],
				},
				/in use/,
			],
			[{ resolverAddress: "nonsense" }, /malformed/],
		] as const;
		for (const [changes, sentence] of cases) {
			const run = await runToEnd(specOf(bash("echo ran"), { network: networkOf(gate.path, changes) }));
			assert.deepEqual([run.cause, run.stdout], ["failed-to-start", ""]);
			assert.match(run.message ?? "", sentence);
		}
	});

	it("leaves no network namespace behind", async () => {
		await using gate = await recordingGate(echo);
		const run = await runToEnd(specOf(bash("readlink /proc/self/ns/net"), { network: networkOf(gate.path) }));
		const inode = run.stdout.match(/\d+/)?.[0] ?? assert.fail(run.stdout);
		const left = async () => (await realHost().run(["lsns", "-t", "net", "-n", "-o", "NS"])).stdout;
		assert.ok(await eventually(async () => !(await left()).includes(inode)));
	});

	it("serves a hostile client that opens and drops connections as fast as it can", async () => {
		await using gate = await recordingGate(echo);
		const script = `
import socket,struct
for i in range(1500):
    s=socket.create_connection(('6.6.6.6',6))
    if i%3==0: s.setsockopt(1,13,struct.pack('ii',1,0))
    if i%2==0: s.send(b'z')
    s.close()
s=socket.create_connection(('6.6.6.6',6)); s.sendall(b'ok'); print(s.recv(2))`;
		const network = networkOf(gate.path, { maxConnections: 2000 });
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", script], { network }));
		assert.equal(run.stdout, "b'ok'\n", run.stderr);
		const ids = connectionsOf(run).map((event) => (event.event === "connection" ? event.id : 0));
		assert.equal(new Set(ids).size, 1501);
	});
});
