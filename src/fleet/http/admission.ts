import { setTimeout as sleep } from "node:timers/promises";
import { type Operation, RATES, type RateName } from "../../api/index.ts";
import type { Authentication, Shown } from "./authenticate.ts";
import { type Identity, mayCall } from "./identity.ts";
import { networkOf } from "./network.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { isRefusal, refusal, territoryRefused } from "./refusal.ts";

/** How late a wrong credential is answered, once its network has shown too many; and how many such answers wait at once. */
const LATE_MS = 1_000;
const MAX_LATE = 200;

/** What a request shows before its body is read, whichever way it came. */
export interface Request extends Pick<Shown, "headers" | "clientCertificate" | "peer"> {
	readonly method: string;
	/** Without what was asked behind it. */
	readonly path: string;
	readonly params: Readonly<Record<string, string | undefined>>;
	/** Network address of the client. */
	readonly address: string;
}

/**
 * Lets requests in, one for each control plane. The credential is looked up before anything is counted by it: nobody uses up what is
 * another's, and a credential that holds is let in whatever comes from the same address.
 */
export class Admission {
	readonly #authentication: Authentication;
	readonly #nowMs: () => number;
	readonly #rates = new RateLimiter();
	#late = 0;

	constructor(authentication: Authentication, nowMs: () => number) {
		this.#authentication = authentication;
		this.#nowMs = nowMs;
	}

	/** Who is asking. Throws the refusal: rate by address, credential, its rate, its role. */
	async admit(row: Operation, request: Request): Promise<Identity> {
		const { rate, callers } = row;
		if (rate !== null && RATES[rate].by === "address") this.#count(rate, networkOf(request.address));
		const identity = await this.#identify(row, request);
		if (rate !== null && RATES[rate].by === "credential") await this.#countOrWait(rate, nameOf(identity));
		if (mayCall(identity, callers)) return identity;
		const role = identity.kind === "person" ? identity.role : identity.kind;
		const reason = `the role ${role} may not do that; ${callers.join(", ")} may`;
		throw refusal("forbidden", { what: whatOf(request), reason });
	}

	async #identify(row: Operation, request: Request): Promise<Identity> {
		const { headers, peer, clientCertificate, params } = request;
		const directiveId = params.directive_id ?? null;
		try {
			const shown = { headers, clientCertificate, peer, directiveId, what: whatOf(request) };
			return await this.#authentication.identify(row, shown);
		} catch (error) {
			const territory = territoryRefused(error);
			// It proved who it is, and counts as that.
			if (territory !== undefined && row.rate !== null) await this.#countOrWait(row.rate, territory.id);
			else if (isRefusal(error) && error.row.status === 401) await this.#countWrong(networkOf(request.address));
			throw error;
		}
	}

	/** Past the limit every wrong credential is answered late: guessing gets slow, and whoever holds a good one notices nothing. */
	async #countWrong(network: string): Promise<void> {
		const seconds = this.#rates.refuse("wrong-credential", network, this.#nowMs());
		if (seconds === undefined) return;
		if (this.#late < MAX_LATE) {
			this.#late += 1;
			await sleep(LATE_MS, undefined, { ref: false });
			this.#late -= 1;
		}
		throw tooMany("wrong-credential", seconds, " with a credential that does not hold");
	}

	async #countOrWait(rate: RateName, by: string): Promise<void> {
		if (RATES[rate].past === "refused") return this.#count(rate, by);
		const pauseMs = this.#rates.pause(rate, by, this.#nowMs());
		if (pauseMs === undefined) throw tooMany(rate, 1);
		if (pauseMs > 0) await sleep(pauseMs, undefined, { ref: false });
	}

	#count(rate: RateName, by: string): void {
		const seconds = this.#rates.refuse(rate, by, this.#nowMs());
		if (seconds !== undefined) throw tooMany(rate, seconds);
	}
}

function nameOf(identity: Identity): string {
	switch (identity.kind) {
		case "anyone":
			return "anyone";
		case "person":
			return identity.tokenId ?? identity.userId;
		case "territory":
			return identity.territory.id;
		case "directive":
			return `${identity.territory.id} ${identity.directiveId}`;
	}
}

function tooMany(rate: RateName, seconds: number, which = ""): Error {
	const { requests, windowMs } = RATES[rate];
	const window = `${windowMs === 60_000 ? "a minute" : `${windowMs / 60_000} minutes`}${which}`;
	const error = refusal("rate-limited", { requests: String(requests), window });
	return Object.assign(error, { headers: { "retry-after": String(seconds) } });
}

function whatOf({ method, path }: Request): string {
	return `${method} ${path}`;
}
