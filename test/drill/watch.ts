import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../src/fleet/index.ts";

const LOOK_MS = 250;
/** After a lease is over, somebody must have taken the directive back in so long. */
const OWNERLESS_MS = 5_000;
/** The exit code of a command that found its facility's lock taken. */
const CONFLICT = 99;

export interface Watching extends AsyncDisposable {
	end(): Promise<{ readonly longestOwnerlessMs: number; readonly problems: readonly string[] }>;
}

/** Looks at the store all the time for a directive without an owner, and for a lock that nobody holds. */
export function watch(store: Store): Watching {
	const problems = new Set<string>();
	let longestOwnerlessMs = 0;
	let isOver = false;
	const look = async (): Promise<void> => {
		const { held, locks } = await looked(store);
		for (const { id, lease_expires_at } of held) {
			const ownerlessMs = Date.now() - (lease_expires_at ?? 0);
			longestOwnerlessMs = Math.max(longestOwnerlessMs, ownerlessMs);
			if (ownerlessMs > OWNERLESS_MS)
				problems.add(`directive ${id} was without an owner for more than ${OWNERLESS_MS} ms`);
		}
		for (const { id, state } of locks)
			if (state !== "leased" && state !== "running")
				problems.add(`facility ${id} is locked by a directive that is ${state}`);
	};
	const loop = (async () => {
		while (!isOver) {
			await look();
			await sleep(LOOK_MS);
		}
	})();
	const end: Watching["end"] = async () => {
		isOver = true;
		await loop;
		return { longestOwnerlessMs, problems: [...problems] };
	};
	return { end, [Symbol.asyncDispose]: async () => void (await end()) };
}

async function looked(store: Store) {
	return store.read(async ({ db }) => {
		const held = await db
			.selectFrom("directives")
			.select(["id", "lease_expires_at"])
			.where("state", "in", ["leased", "running"])
			.execute();
		// One statement, so one moment.
		const locks = await db
			.selectFrom("facilities as f")
			.innerJoin("directives as d", "d.id", "f.locked_by_directive_id")
			.select(["f.id", "d.state"])
			.execute();
		return { held, locks };
	});
}

/** What became of everything that was acknowledged. */
export async function account(store: Store, acknowledged: ReadonlySet<string>) {
	return store.read(async ({ db }) => {
		const rows = await db.selectFrom("directives").selectAll().execute();
		const byId = new Map(rows.map((row) => [row.id, row]));
		const finished = await db
			.selectFrom("audit_events")
			.select("directive_id")
			.where("event_type", "=", "directive.finished")
			.execute();
		const ends = Map.groupBy(finished, ({ directive_id }) => directive_id);
		const locked = await db
			.selectFrom("facilities")
			.select("id")
			.where("locked_by_directive_id", "is not", null)
			.execute();
		const problems = [
			...[...acknowledged].filter((id) => !byId.has(id)).map((id) => `directive ${id} was acknowledged and is gone`),
			...locked.map(({ id }) => `facility ${id} is locked`),
			...rows.flatMap((row) => {
				const { id, state, attempts, max_attempts, exit_code, finished_status } = row;
				const count = ends.get(id)?.length ?? 0;
				return [
					["succeeded", "failed", "canceled", "timed_out"].includes(state)
						? ""
						: `directive ${id} never ended: ${state}`,
					count === (finished_status === null ? 0 : 1) ? "" : `directive ${id} ended ${count} times`,
					attempts <= max_attempts ? "" : `directive ${id} was begun ${attempts} times of ${max_attempts}`,
					exit_code === CONFLICT ? `two wrote in the facility of directive ${id}` : "",
					state === "succeeded" && row.receipt_digest === null ? `directive ${id} has no receipt` : "",
				].filter((problem) => problem !== "");
			}),
		];
		const of = (state: string) => rows.filter((row) => row.state === state).length;
		const outcomes = { acknowledged: acknowledged.size, directives: rows.length, succeeded: of("succeeded") };
		const lost = rows.filter((row) => row.state === "failed" && row.finished_status === null).length;
		const begunAgain = rows.filter(({ attempts }) => attempts > 1).length;
		return { ...outcomes, failed: of("failed") - lost, lost, begunAgain, problems };
	});
}
