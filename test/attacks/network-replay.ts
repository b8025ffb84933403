/**
 * The attacks of the gate's own tests, from inside a real sandbox: what each would write to the gate is recorded here,
 * and the helper says it there.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { NetworkRules } from "../../src/egress/schema.ts";
import { destinationAttacks } from "../egress/attack-destinations.ts";
import { requestAttacks } from "../egress/attack-requests.ts";
import { type Attack, NAME } from "../egress/attack-scene.ts";
import { streamAttacks } from "../egress/attack-streams.ts";
import type { TestGate } from "../egress/gate-fixture.ts";
import { type Batch, GATE, hex, type NetworkAttack, question, type Seen, udp } from "./network-case.ts";

/** Sandboxes listen at 64 loopback addresses at most, and every attack has an allowed server of its own. */
const MOST_PER_BATCH = 48;
const FIRST_PORT = 23_000;
const FIRST_GOOD_PORT = 28_000;
const BATCH_PORTS = 100;

/** A stream that ends at once and keeps what was written to it. */
class Recorder extends Duplex {
	readonly written: Buffer[] = [];

	override _write(chunk: Buffer, _encoding: string, done: () => void): void {
		this.written.push(chunk);
		done();
	}

	override _read(): void {
		this.push(null);
	}
}

/** The helper's lines for what an attack of the gate's table does. */
async function recorded(attack: Attack, good: number, victim: number): Promise<string> {
	const lines: (() => string)[] = [];
	const opened = (line: (payload: string) => string): Socket => {
		const recorder = new Recorder();
		lines.push(() => line(hex(Buffer.concat(recorder.written))));
		return recorder as unknown as Socket;
	};
	const asked = (message: Buffer): void => {
		lines.push(() => udp(GATE, 53, message));
	};
	const gate: Pick<TestGate, "toAddress" | "toProxy" | "resolve"> = {
		toAddress: (address, port) =>
			opened((payload) =>
				address === NAME ? `./net name ${NAME} ${port} ${payload}` : `./net tcp ${address} ${port} ${payload}`,
			),
		toProxy: () => opened((payload) => `./net tcp ${GATE} 9080 ${payload}`),
		resolve: async (name) => {
			asked(question(name));
			return name === NAME ? NAME : "code 3";
		},
	};
	await attack.act({ gate: gate as TestGate, good, victim });
	return lines.map((line) => line()).join("\n");
}

function judge(attack: Attack, good: number): NonNullable<NetworkAttack["check"]> {
	return ({ arrivals, entries }: Seen) => {
		const arrived = arrivals(good)
			.connections.map(({ text }) => text)
			.join("");
		if (attack.goodMay === undefined) assert.equal(arrived, "");
		else assert.match(arrived, attack.goodMay);
		assert.doesNotMatch(arrived, /SMUGGLED|EXFILTRATED/);
		assert.ok(entries.some(({ verdict, reason }) => verdict === "refused" && reason === attack.reason));
	};
}

const rulesOf = (attack: Attack, good: number): NetworkRules => ({
	mode: "allowlist",
	deny: [],
	http: [],
	allow: [`${NAME}:${good}`, `127.0.0.1:${good}`],
	...attack.rules?.(good),
});

/** Attacks under the same rules share a sandbox: each brings the rules for a port of its own. */
async function batchOf(group: readonly Attack[], index: number): Promise<Batch> {
	const firstPort = FIRST_PORT + index * BATCH_PORTS;
	const firstGood = FIRST_GOOD_PORT + index * BATCH_PORTS;
	const rules = group.map((attack, at) => rulesOf(attack, firstGood + at));
	const attacks = group.map(async (attack, at): Promise<NetworkAttack> => {
		const script = await recorded(attack, firstGood + at, firstPort + at);
		return { name: `at the gate: ${attack.name}`, script: () => script, check: judge(attack, firstGood + at) };
	});
	const names: NonNullable<Attack["names"]> = { [NAME]: ["127.0.0.1"], ...group[0]?.names };
	const unique = (of: (one: NetworkRules) => readonly string[]): string[] => [...new Set(rules.flatMap(of))];
	return {
		name: `replay ${index}`,
		rules: {
			mode: rules[0]?.mode ?? "allowlist",
			allow: unique(({ allow }) => allow),
			deny: unique(({ deny }) => deny),
			http: rules.flatMap(({ http }) => http),
		},
		names: Object.fromEntries(
			Object.entries(names).map(([name, found]) => [name, [typeof found === "function" ? found() : found]]),
		),
		attacks: await Promise.all(attacks),
		manner: "together",
		ports: [9, 22, 53, 80, 443, ...group.map((_, at) => firstGood + at)],
		firstPort,
	};
}

/** Alike but for their ports. */
const kindOf = (attack: Attack): string => JSON.stringify([rulesOf(attack, 1), attack.names ?? null]);

const replayable = [...destinationAttacks, ...streamAttacks, ...requestAttacks].filter(
	({ limits }) => limits === undefined,
);
const groups = Object.values(Object.groupBy(replayable, kindOf)).flatMap((group = []) =>
	Array.from({ length: Math.ceil(group.length / MOST_PER_BATCH) }, (_, at) =>
		group.slice(at * MOST_PER_BATCH, (at + 1) * MOST_PER_BATCH),
	),
);

export const REPLAYED_BATCHES: readonly Batch[] = await Promise.all(groups.map(batchOf));
