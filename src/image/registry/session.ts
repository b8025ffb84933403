import { VouchError } from "../../core/index.ts";
import { Authorization, LoginNeeded } from "./authorization.ts";
import { type Answer, Connection, type ConnectionSettings, isAllowed, Unreachable } from "./connection.ts";
import { type CredentialSources, findCredentials } from "./credentials.ts";
import { fail } from "./failures.ts";
import { MAX_ERROR_BYTES, MAX_REDIRECTS, PATIENCE, type Patience } from "./limits.ts";
import { GivenUp, persist, Setback } from "./persistence.ts";
import { readBounded, saidBy, WrongAnswer } from "./reading.ts";
import { type RegistryReference, registryUrl } from "./reference.ts";

export interface SessionSettings extends CredentialSources, Omit<ConnectionSettings, "patience"> {
	readonly patience?: Patience;
	readonly signal?: AbortSignal | undefined;
}

/** One request of a job, and the statuses that it can go on with. */
export interface Ask {
	readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT";
	/** Below `/v2/NAME/`, or a whole URL that the registry gave. */
	readonly to: string | URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: Uint8Array;
	readonly takes: readonly number[];
	readonly onSent?: (bytes: number) => void;
}

const REDIRECTS = [301, 302, 303, 307, 308];
const BUSY = [408, 425, 429, 500, 502, 503, 504];

/** A conversation about one repository: logs in when asked to, follows blobs to where they are kept, tries again. */
export class Session {
	readonly patience: Patience;
	readonly signal: AbortSignal | undefined;
	readonly #reference: RegistryReference;
	readonly #base: URL;
	readonly #connection: Connection;
	readonly #authorization: Authorization;
	/** Begins the sentence of every failure: "Pulling host/app:1". */
	readonly #doing: string;

	constructor(
		reference: RegistryReference,
		job: { readonly doing: string; readonly actions: string },
		settings: SessionSettings,
	) {
		this.patience = settings.patience ?? PATIENCE;
		this.signal = settings.signal;
		this.#reference = reference;
		this.#doing = job.doing;
		const api = registryUrl(reference);
		this.#base = new URL(`${reference.repository}/`, api);
		this.#connection = new Connection({ ...settings, patience: this.patience });
		let asked: ReturnType<typeof findCredentials> | undefined;
		this.#authorization = new Authorization({
			connection: this.#connection,
			scope: `repository:${reference.repository}:${job.actions}`,
			credentials: () => (asked ??= findCredentials(reference, settings)),
			signal: settings.signal,
		});
	}

	close(): void {
		this.#connection.close();
	}

	/** Does a piece of work again until it is done; its failures become sentences. */
	async persist<T>(work: () => Promise<T>): Promise<T> {
		try {
			return await persist(work, { patience: this.patience, signal: this.signal });
		} catch (error) {
			throw this.#explained(error);
		}
	}

	/** One try. Throws Setback for what may go better, and what `persist` explains for the rest. */
	async ask(ask: Ask): Promise<Answer> {
		let url = typeof ask.to === "string" ? new URL(ask.to, this.#base) : ask.to;
		let loggedIn = false;
		for (let hops = 0; hops <= MAX_REDIRECTS; ) {
			const own = url.origin === this.#base.origin;
			const tried = this.#authorization.header;
			const answer = await this.#connection.call({
				...ask,
				url,
				signal: this.signal,
				// Only to the registry itself: a redirect leads to a storage that has no business with our login.
				headers: { ...ask.headers, ...(own && tried !== undefined ? { authorization: tried } : {}) },
			});
			if (ask.takes.includes(answer.status)) return answer;
			if (answer.status === 401 && own && !loggedIn) {
				loggedIn = true;
				answer.body.resume();
				await this.#authorization.renew(tried, answer.headers["www-authenticate"]);
			} else if (REDIRECTS.includes(answer.status) && (ask.method === "GET" || ask.method === "HEAD")) {
				hops += 1;
				answer.body.resume();
				url = this.locationOf(answer, url);
			} else {
				await this.#refuse(answer);
			}
		}
		throw new WrongAnswer(`it redirects more than ${MAX_REDIRECTS} times`);
	}

	/** Where an answer points to. Never away from TLS. */
	locationOf({ headers }: Answer, from: URL = this.#base): URL {
		const url = headers.location === undefined ? null : URL.parse(headers.location, from.href);
		if (url === null) throw new WrongAnswer("it points nowhere");
		if (!isAllowed(url)) throw new WrongAnswer(`it points to ${url.protocol}//${url.host}, which is not HTTPS`);
		url.username = "";
		url.password = "";
		return url;
	}

	/** For uploads, which carry contents: no registry has a reason to send those to another machine. */
	ownLocationOf(answer: Answer): URL {
		const url = this.locationOf(answer);
		if (url.origin !== this.#base.origin) throw new WrongAnswer(`it sends the upload to ${url.origin}`);
		return url;
	}

	async #refuse(answer: Answer): Promise<never> {
		const { status, headers } = answer;
		const body = await readBounded(answer, MAX_ERROR_BYTES).catch(() => Buffer.alloc(0));
		if (BUSY.includes(status))
			throw new Setback(`it answers ${status}`, { pauseMs: retryAfterMs(headers["retry-after"]) });
		throw new Refused(status, saidBy(body));
	}

	/** The VouchError for whatever ended a piece of work; anything that isn't about the registry is passed on. */
	#explained(error: unknown): unknown {
		const details = { doing: this.#doing, registry: this.#reference.registry };
		if (error instanceof VouchError || this.signal?.aborted === true) return error;
		if (error instanceof GivenUp) {
			return fail("registry-unreachable", { ...details, reason: error.message, tries: String(error.tries) }, error);
		}
		if (error instanceof Unreachable) {
			return fail("registry-unreachable", { ...details, reason: error.message, tries: "1" }, error);
		}
		if (error instanceof LoginNeeded)
			return fail("registry-login-needed", { ...details, reason: error.message }, error);
		if (error instanceof WrongContent) {
			return fail("registry-content-wrong", { ...details, what: error.what, reason: error.message }, error);
		}
		if (error instanceof WrongAnswer || error instanceof TypeError) {
			return fail("registry-answer-wrong", { ...details, reason: error.message }, error);
		}
		return error instanceof Refused ? this.#refusal(error) : error;
	}

	#refusal(error: Refused): VouchError {
		const said = error.said === "" ? "" : `, saying "${error.said}"`;
		const details = { doing: this.#doing, registry: this.#reference.registry, said };
		switch (error.status) {
			case 401:
				return fail("registry-login-needed", { ...details, reason: "it does not take the login it was given" }, error);
			case 403:
				return fail("registry-forbidden", details, error);
			case 404:
				return fail("registry-image-unknown", details, error);
			default:
				return fail("registry-refused", { ...details, status: String(error.status) }, error);
		}
	}
}

/** A refusal that another try won't change. */
export class Refused extends Error {
	readonly status: number;
	readonly said: string;
	constructor(status: number, said: string) {
		super(`it answered ${status}`);
		this.status = status;
		this.said = said;
	}
}

/** Bytes that are not those that a digest names. */
export class WrongContent extends Error {
	readonly what: string;
	constructor(what: string, reason: string) {
		super(reason);
		this.what = what;
	}
}

/** RFC 9110 section 10.2.3, in seconds or as a date. */
function retryAfterMs(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	const ms = /^\d{1,6}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
	return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
