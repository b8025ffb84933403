import { VouchError } from "../../core/index.ts";
import type { Operation } from "../operation.ts";
import { operations } from "../operations.ts";
import { clientFailures } from "./failures.ts";
import { type ClientSettings, reasonOf, send } from "./send.ts";
import { eventsOf, jsonLinesOf, partsOf } from "./streams.ts";
import type { CallOptions, Client } from "./types.ts";

type Members = Readonly<Record<string, unknown>>;

/** A client of one control plane: a method for each operation of the table, in the group that its name begins with. */
export function connect(settings: ClientSettings): Client {
	const groups: Record<string, Record<string, unknown>> = {};
	for (const [name, row] of Object.entries<Operation>(operations)) {
		const [group = name, method = name] = name.split(".");
		groups[group] = { ...groups[group], [method]: methodOf(settings, row) };
	}
	// Each method is made from the row that its type is made from.
	return groups as unknown as Client;
}

function methodOf(settings: ClientSettings, row: Operation) {
	const ask = (given: Members, { signal, idempotencyKey }: CallOptions) =>
		send(settings, row, { path: pathOf(row, given), body: bodyOf(row, given), idempotencyKey, signal });
	const what = `${row.method} ${row.route}`;
	const { server } = settings;
	switch (row.answersAs) {
		case "json":
			return async (given: Members = {}, options: CallOptions = {}) => {
				const response = await ask(given, options);
				return reading(what, server, () => response.json());
			};
		case "bytes":
			return async (given: Members = {}, options: CallOptions = {}) => {
				const response = await ask(given, options);
				return reading(what, server, async () => new Uint8Array(await response.arrayBuffer()));
			};
		case "byte-stream":
			return (given: Members = {}, options: CallOptions = {}) =>
				elements(what, server, partsOf, () => ask(given, options));
		case "event-stream":
			return (given: Members = {}, options: CallOptions = {}) =>
				elements(what, server, eventsOf, () => ask(given, options));
		case "jsonl":
			return (given: Members = {}, options: CallOptions = {}) =>
				elements(what, server, jsonLinesOf, () => ask(given, options));
	}
}

async function* elements(
	what: string,
	server: string,
	read: (stream: AsyncIterable<Uint8Array>) => AsyncGenerator<unknown>,
	ask: () => Promise<Response>,
): AsyncGenerator<unknown> {
	const { body } = await ask();
	if (body === null) return;
	const found = read(body);
	try {
		for (;;) {
			const { done, value } = await reading(what, server, () => found.next());
			if (done === true) return;
			yield value;
		}
	} finally {
		// Who looks no further has the connection closed.
		await found.return(undefined).catch(() => {});
	}
}

/** What comes after the head may be cut off, or be something else than what was asked for. */
async function reading<Value>(what: string, server: string, read: () => Promise<Value>): Promise<Value> {
	try {
		return await read();
	} catch (error) {
		if (error instanceof VouchError || (error as Error).name === "AbortError") throw error;
		const problem = reasonOf(error);
		if (error instanceof SyntaxError)
			throw clientFailures.fail("client.answer-unreadable", { what, server, status: "200", problem }, error);
		throw clientFailures.fail("client.cut-off", { what, server, problem }, error);
	}
}

function pathOf({ route, path, query }: Operation, given: Members): string {
	const filled = route.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(String(given[name])));
	const asked = Object.keys(query.shape).filter(
		(name) => given[name] !== undefined && given[name] !== null && !Object.hasOwn(path.shape, name),
	);
	const search = new URLSearchParams(Object.fromEntries(asked.map((name) => [name, String(given[name])])));
	return asked.length === 0 ? filled : `${filled}?${search}`;
}

/** An operation that takes a body gets one: an absent one has no content type. */
function bodyOf({ body }: Operation, given: Members): unknown {
	return body === null ? undefined : (given.body ?? {});
}
