import { Logger, type Runner, run, runMigrations } from "graphile-worker";
import pg from "pg";
import { PgBoss } from "pg-boss";

/** Another queue on PostgreSQL, which does nothing with so many jobs. */
export interface Rival {
	/** Jobs a second from adding the first to having ended the last. */
	jobs(count: number, atOnce: number): Promise<number>;
	close(): Promise<void>;
}

const QUEUE = "noop";
/** As many as our own store opens. */
const CONNECTIONS = 20;

/** Added, fetched, touched, completed: four changes of each job, one at a time, as a directive has. */
export async function openPgBoss(url: string): Promise<Rival> {
	const boss = new PgBoss({ connectionString: url, max: CONNECTIONS });
	boss.on("error", () => undefined);
	await boss.start();
	await boss.createQueue(QUEUE);
	return {
		async jobs(count, atOnce) {
			const startedMs = performance.now();
			await inParallel(count, atOnce, () => boss.send(QUEUE, {}));
			await inParallel(count, atOnce, async () => {
				const [job] = await boss.fetch(QUEUE);
				if (job === undefined) return;
				await boss.touch(QUEUE, job.id);
				await boss.complete(QUEUE, job.id);
			});
			return (count / (performance.now() - startedMs)) * 1000;
		},
		close: () => boss.stop({ graceful: false }),
	};
}

/** Added, fetched, completed: its workers know no state between, so that its task says that it has begun. */
export async function openGraphile(url: string): Promise<Rival> {
	const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
	pool.on("error", () => undefined);
	pool.on("connect", (client) => client.on("error", () => undefined));
	await runMigrations({ pgPool: pool });
	await pool.query("create table begun (job_id bigint primary key)");
	return {
		async jobs(count, atOnce) {
			let left = count;
			const ended = Promise.withResolvers<void>();
			const startedMs = performance.now();
			const add = "select graphile_worker.add_job('noop', payload => '{}')";
			await inParallel(count, atOnce, () => pool.query(add));
			const runner: Runner = await run({
				pgPool: pool,
				concurrency: atOnce,
				noHandleSignals: true,
				logger: new Logger(() => () => {}),
				pollInterval: 50,
				taskList: {
					noop: async (_payload, { job, query }) => {
						await query("insert into begun (job_id) values ($1)", [job.id]);
						left -= 1;
						if (left === 0) ended.resolve();
					},
				},
			});
			await ended.promise;
			// What was run is not completed yet.
			await runner.stop();
			return (count / (performance.now() - startedMs)) * 1000;
		},
		close: () => pool.end(),
	};
}

export async function inParallel(count: number, atOnce: number, act: (at: number) => Promise<unknown>): Promise<void> {
	let next = 0;
	const worker = async (): Promise<void> => {
		while (next < count) await act(next++);
	};
	await Promise.all(Array.from({ length: atOnce }, worker));
}
