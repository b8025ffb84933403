import { createServer, type Server } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { NodeEvent } from "./node-event.ts";

export interface HealthSource {
	inFlight(): number;
	/** Drivers and whether each works, looked at now. */
	drivers(): Promise<Readonly<Record<string, "healthy" | "unhealthy">>>;
}

const READY_MS = 5_000;

/** `/healthz`, `/readyz` and `/metrics` by the names that existing dashboards know (conduits section 7.15). No credential: loopback only. */
export class Health {
	readonly #registry = new Registry();
	readonly #source: HealthSource;
	readonly #polls: Counter;
	readonly #pollErrors: Counter;
	readonly #heartbeatErrors: Counter;
	readonly #directives: Counter;
	readonly #durations: Histogram;
	readonly #driverHealthy: Gauge;
	#server: Server | undefined;

	constructor(source: HealthSource) {
		this.#source = source;
		const registers = [this.#registry];
		collectDefaultMetrics({ register: this.#registry });
		this.#polls = new Counter({
			name: "nexusd_poll_total",
			help: "Polls by result.",
			labelNames: ["result"],
			registers,
		});
		this.#pollErrors = new Counter({ name: "nexusd_poll_errors_total", help: "Polls that failed.", registers });
		this.#heartbeatErrors = new Counter({
			name: "nexusd_heartbeat_errors_total",
			help: "Heartbeats of directives that failed.",
			registers,
		});
		this.#directives = new Counter({
			name: "nexusd_directives_total",
			help: "Directives by how they ended.",
			labelNames: ["status"],
			registers,
		});
		this.#durations = new Histogram({
			name: "nexusd_directive_duration_seconds",
			help: "From lease to delivered end.",
			labelNames: ["driver", "profile"],
			registers,
		});
		new Gauge({
			name: "nexusd_directives_in_flight",
			help: "Directives that run now.",
			registers,
			collect() {
				this.set(source.inFlight());
			},
		});
		this.#driverHealthy = new Gauge({
			name: "nexusd_driver_healthy",
			help: "1 when the driver works.",
			labelNames: ["driver"],
			registers,
		});
	}

	note(event: NodeEvent): void {
		if (event.kind === "directive") {
			this.#directives.inc({ status: event.status });
			this.#durations.observe({ driver: event.driver, profile: event.profile }, event.seconds);
			return;
		}
		if (event.kind === "heartbeat-error") {
			this.#heartbeatErrors.inc();
			return;
		}
		this.#polls.inc({ result: event.result });
		if (event.result === "error") this.#pollErrors.inc();
	}

	async listen(host: string, port: number): Promise<void> {
		const server = createServer((request, response) => {
			this.#answer(request.url ?? "").then(
				({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
				() => response.writeHead(500).end(),
			);
		});
		server.headersTimeout = 10_000;
		await new Promise<void>((resolve, reject) => {
			server.once("error", reject);
			server.listen(port, host, resolve);
		});
		this.#server = server;
	}

	async close(): Promise<void> {
		const server = this.#server;
		if (server === undefined) return;
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}

	async #answer(url: string): Promise<{ readonly status: number; readonly type: string; readonly body: string }> {
		const type = "text/plain; charset=utf-8";
		if (url === "/healthz") return { status: 200, type, body: "ok" };
		if (url === "/readyz") {
			const isReady = Object.values(await this.#drivers()).includes("healthy");
			return isReady ? { status: 200, type, body: "ok" } : { status: 503, type, body: "not ready" };
		}
		if (url !== "/metrics") return { status: 404, type, body: "there is /healthz, /readyz and /metrics" };
		for (const [driver, state] of Object.entries(await this.#drivers()))
			this.#driverHealthy.set({ driver }, state === "healthy" ? 1 : 0);
		return { status: 200, type: this.#registry.contentType, body: await this.#registry.metrics() };
	}

	#drivers(): ReturnType<HealthSource["drivers"]> {
		const late = new Promise<Readonly<Record<string, "unhealthy">>>((resolve) => {
			setTimeout(() => resolve({}), READY_MS).unref();
		});
		return Promise.race([this.#source.drivers(), late]);
	}
}
