/** What an attacker in the sandbox does to the gate: the verbs of the attack tables. */

import type { NetworkRules, ReasonCode } from "../../src/egress/schema.ts";
import { type TestGate, type TestGateOptions, talk } from "./gate-fixture.ts";

export interface Scene {
	readonly gate: TestGate;
	/** Port of the allowed server, `good.example.test`. */
	readonly good: number;
	readonly victim: number;
}

export interface Attack {
	readonly name: string;
	readonly act: (scene: Scene) => Promise<unknown>;
	/** Of some refused entry in the ledger. */
	readonly reason: ReasonCode;
	readonly rules?: (good: number) => Partial<NetworkRules>;
	readonly names?: TestGateOptions["names"];
	/** What may have reached the allowed server: nothing unless said. */
	readonly goodMay?: RegExp;
	readonly limits?: TestGateOptions["limits"];
}

/** No request and no hello: where a destination is allowed these bytes pass at once. */
export const PAYLOAD = "\0EXFILTRATED";
export const NAME = "good.example.test";

export const connectTo =
	(authority: (scene: Scene) => string, payload: string | Buffer = PAYLOAD, fields = "") =>
	({ gate, ...scene }: Scene): Promise<string> => {
		const target = authority({ gate, ...scene });
		const head = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${fields}\r\n`;
		return talk(gate.toProxy(), Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(payload as string, "latin1")]));
	};

export const good = ({ good: port }: Scene): string => `${NAME}:${port}`;
/** A tunnel to the allowed name, with this as its first bytes. */
export const inTunnel = (payload: string | Buffer) => connectTo(good, payload);

export const toProxy = (text: (scene: Scene) => string) => (scene: Scene) => talk(scene.gate.toProxy(), text(scene));

/** A program that ignores proxies: it looks the name up and connects to what it is told. */
export const transparent = (payload: (scene: Scene) => string | Buffer) => async (scene: Scene) => {
	const address = await scene.gate.resolve(NAME);
	return talk(scene.gate.toAddress(address, scene.good), payload(scene));
};

export const socks =
	(type: number, address: Buffer, port: (scene: Scene) => number, command = 1, payload: string | Buffer = PAYLOAD) =>
	(scene: Scene) => {
		const tail = Buffer.alloc(2);
		tail.writeUInt16BE(port(scene));
		return talk(
			scene.gate.toProxy(),
			Buffer.concat([Buffer.from([5, 1, 0, 5, command, 0, type]), address, tail, Buffer.from(payload as string)]),
		);
	};
export const socksName = (name: string, port = (scene: Scene) => scene.good, payload: string | Buffer = PAYLOAD) => {
	const bytes = Buffer.from(name, "latin1");
	return socks(3, Buffer.concat([Buffer.from([bytes.length]), bytes]), port, 1, payload);
};

export const request = (scene: Scene, fields: string, body = "", path = "/"): string =>
	`POST http://${NAME}:${scene.good}${path} HTTP/1.1\r\nHost: ${NAME}\r\n${fields}\r\n${body}`;
export const smuggled = (scene: Scene): string =>
	`GET http://${NAME}:${scene.good}/SMUGGLED HTTP/1.1\r\nHost: x\r\n\r\n`;
export const hidden = (scene: Scene): string => `GET / HTTP/1.1\r\nHost: ${NAME}:${scene.good}\r\n\r\n`;

export const unrestricted = (): Partial<NetworkRules> => ({ mode: "unrestricted" });
export const paths = (port: number): Partial<NetworkRules> => ({
	http: [{ destination: `${NAME}:${port}`, methods: ["GET"], paths: ["/public"] }],
});
export const getPath = (path: string) =>
	toProxy((scene) => `GET http://${NAME}:${scene.good}${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
