import assert from "node:assert/strict";
import type { Lease } from "../../src/api/conduits/schema.ts";
import { type Client, connect, type Input, type Operations } from "../../src/api/index.ts";
import { freePort } from "../fixtures/free-port.ts";
import { FrontDoor, type Going } from "./front-door.ts";

/** A real `vouch server` process with an empty store of its own. */
export interface FleetDoor {
	readonly door: FrontDoor;
	readonly url: string;
	/** Of the owner. */
	readonly token: string;
	readonly owner: Client;
	readonly server: Going;
	close(): Promise<void>;
}

export async function openFleetDoor(environment: Readonly<Record<string, string>> = {}): Promise<FleetDoor> {
	const door = new FrontDoor();
	const server = startServer(door, await freePort(), environment);
	const { url, token } = await addressOf(server);
	assert.ok(token !== undefined, "an empty store gives its owner a token");
	return { door, url, token, owner: connect({ server: url, token }), server, close: () => door.close() };
}

export function startServer(door: FrontDoor, port: number, environment: Readonly<Record<string, string>> = {}): Going {
	const flags = ["--port", String(port), "--territory-auth", "either", "--log-level", "error"];
	return door.start(["server", ...flags], { input: null, environment });
}

/** What it says of itself when it listens. */
export function addressOf({ process: server }: Going): Promise<{ readonly url: string; readonly token?: string }> {
	return new Promise((resolve, reject) => {
		let said = "";
		server.stdout.on("data", (chunk: Buffer) => {
			said += chunk.toString();
			const url = /listening on (\S+)\n/.exec(said)?.[1];
			const token = /shown this once: (\S+)\n/.exec(said)?.[1];
			if (url !== undefined && token !== undefined) resolve({ url, token });
			// The token comes right after, or there is none.
			else if (url !== undefined) setTimeout(() => resolve({ url }), 1000);
		});
		server.stderr.on("data", (chunk: Buffer) => {
			said += chunk.toString();
		});
		server.once("close", () => reject(new Error(`the server ended: ${said}`)));
	});
}

/** What a scripted node does with a lease: what it prints, and how that ends. */
export interface Act {
	readonly output?: readonly (readonly ["stdout" | "stderr", string])[];
	readonly exitCode?: number;
	readonly diff?: string;
	/** Waited for before it ends. */
	readonly until?: Promise<void>;
}

/** A node that runs nothing: it reports what a test tells it to, through the same client that people have. */
export class ScriptedNode {
	readonly territoryId: string;
	readonly #url: string;
	readonly #owner: Client;
	readonly #client: Client;

	private constructor({ url, owner }: FleetDoor, territoryId: string) {
		this.#url = url;
		this.#owner = owner;
		this.territoryId = territoryId;
		this.#client = connect({ server: url, headers: { "x-nexus-territory-id": territoryId } });
	}

	static async join(fleet: FleetDoor, name = "scripted", kind?: "bridge"): Promise<ScriptedNode> {
		const { url, owner } = fleet;
		const { token } = await owner.enrollmentTokens.create();
		const { territory_id } = await connect({ server: url }).nodes.enroll({ body: { enroll_token: token, name, kind } });
		const node = new ScriptedNode(fleet, territory_id);
		await node.heartbeat({ capabilities: ["camera.snap"] });
		return node;
	}

	async heartbeat(body: Input<Operations["nodes.heartbeat"]>["body"]): Promise<void> {
		await this.#client.nodes.heartbeat({ body });
	}

	/** Takes the next directive and does what the script says. */
	async next(act: Act): Promise<string> {
		const { lease, report } = await this.take();
		let seq = 0;
		for (const [stream, text] of act.output ?? []) await report.chunk(stream, seq++, text);
		await act.until;
		await report.finished(act.exitCode ?? 0, act.diff);
		return lease.directive_id;
	}

	/** Waits for a lease and tells that it was started. */
	async take() {
		const lease = await this.#lease();
		const headers = {
			"x-nexus-territory-id": this.territoryId,
			authorization: `Bearer ${lease.directive_token}`,
		};
		const { nodes } = connect({ server: this.#url, headers });
		const { directive_id } = lease;
		await nodes.started({ directive_id, body: { sandbox_version: "scripted" } });
		const base64 = (text: string) => Buffer.from(text).toString("base64");
		return {
			lease,
			report: {
				heartbeat: () => nodes.directiveHeartbeat({ directive_id, body: {} }),
				chunk: (stream: "stdout" | "stderr", seq: number, text: string) =>
					nodes.logChunk({ directive_id, body: { stream, seq, bytes: base64(text) } }),
				canceled: () => nodes.finished({ directive_id, body: { status: "canceled", exit_code: null } }),
				finished: (exitCode: number, diff?: string) =>
					nodes.finished({
						directive_id,
						body: {
							status: exitCode === 0 ? "succeeded" : "failed",
							exit_code: exitCode,
							...(diff === undefined ? {} : { diff_base64: base64(diff) }),
						},
					}),
			},
		};
	}

	/** What waits for it: ids and parameters. */
	async pendingCommands(): Promise<readonly { readonly command_id: string; readonly params: object }[]> {
		const { commands } = await this.#client.nodes.pendingCommands();
		return commands.map(({ command_id, params }) => ({ command_id, params }));
	}

	async commandResult(command_id: string, result: Record<string, number>, attachment: Buffer): Promise<void> {
		const attachment_base64 = attachment.toString("base64");
		const body = { status: "completed", result, attachment_base64, attachment_filename: "photo.jpg" };
		await this.#client.nodes.commandResult({ command_id, body });
	}

	/** Polls only when there is something: a node may poll once a second, and this one is not to wait for that. */
	async #lease(): Promise<Lease> {
		const end = Date.now() + 120_000;
		while (Date.now() < end) {
			const { directives: queued } = await this.#owner.directives.list({ state: "queued", limit: 1 });
			if (queued.length === 0) {
				await new Promise((resolve) => setTimeout(resolve, 100));
				continue;
			}
			const body = { supported_sandbox_profiles: ["untrusted", "trusted"], max_directives_to_claim: 1 };
			const { directives } = await this.#client.nodes.poll({ body });
			const [lease] = directives;
			if (lease !== undefined) return lease;
			await new Promise((resolve) => setTimeout(resolve, 1000));
		}
		assert.fail("no directive came in two minutes");
	}
}
