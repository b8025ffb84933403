import { setImmediate } from "node:timers/promises";
import type { Session, Store } from "./store.ts";

/** So many requests are served together at most: what waits behind them must not wait long. */
const MOST_AT_ONCE = 50;

type Serve<Request, Answer> = (session: Session, requests: readonly Request[]) => Promise<readonly (Answer | Error)[]>;
type Ask<Request, Answer> = (store: Store, request: Request) => Promise<Answer>;

/**
 * Serves what many ask for at the same time with the same statements, and one commit: requests that come while others are served
 * form the next group, so nobody waits for a group to fill. `serve` answers each in its place; an `Error` there is thrown to
 * whoever asked, and what was done for it stays. When `serve` throws, nothing of it happened, and each is served alone: whose
 * request it was gets the error, and nobody else. No two requests of one name are in a group.
 */
export function together<Request, Answer>(
	way: "read" | "transaction",
	serve: Serve<Request, Answer>,
	nameOf: (request: Request) => unknown = () => Symbol(),
): Ask<Request, Answer> {
	const queues = new WeakMap<Store, Queue<Request, Answer>>();
	return (store, request) => {
		const queue = queues.get(store) ?? new Queue(store, way, serve);
		queues.set(store, queue);
		return queue.ask(request, nameOf(request));
	};
}

interface Waiting<Request, Answer> {
	readonly request: Request;
	readonly name: unknown;
	readonly resolve: (answer: Answer) => void;
	readonly reject: (error: unknown) => void;
}

class Queue<Request, Answer> {
	readonly #store: Store;
	readonly #way: "read" | "transaction";
	readonly #serve: Serve<Request, Answer>;
	#waiting: Waiting<Request, Answer>[] = [];
	#isServing = false;

	constructor(store: Store, way: "read" | "transaction", serve: Serve<Request, Answer>) {
		this.#store = store;
		this.#way = way;
		this.#serve = serve;
	}

	ask(request: Request, name: unknown): Promise<Answer> {
		const { promise, resolve, reject } = Promise.withResolvers<Answer>();
		this.#waiting.push({ request, name, resolve, reject });
		if (!this.#isServing) void this.#serveAll();
		return promise;
	}

	async #serveAll(): Promise<void> {
		this.#isServing = true;
		while (this.#waiting.length > 0) {
			// A turn of the event loop: what other connections sent meanwhile comes along.
			await setImmediate();
			const byName = Map.groupBy(this.#waiting, ({ name }) => name);
			const group = [...byName.values()].flatMap(([first]) => first ?? []).slice(0, MOST_AT_ONCE);
			const taken = new Set(group);
			this.#waiting = this.#waiting.filter((one) => !taken.has(one));
			await this.#serveGroup(group);
		}
		this.#isServing = false;
	}

	async #serveGroup(group: readonly Waiting<Request, Answer>[]): Promise<void> {
		// A commit that failed may have happened: then nothing is tried again.
		let isServed = false;
		try {
			const answers = await this.#store[this.#way](async (session) => {
				isServed = false;
				const given = await this.#serve(
					session,
					group.map(({ request }) => request),
				);
				isServed = true;
				return given;
			});
			for (const [at, { resolve, reject }] of group.entries()) {
				const answer = answers[at] as Answer | Error;
				if (answer instanceof Error) reject(answer);
				else resolve(answer);
			}
		} catch (error) {
			if (isServed || group.length === 1) for (const { reject } of group) reject(error);
			else await Promise.all(group.map((one) => this.#serveGroup([one])));
		}
	}
}
