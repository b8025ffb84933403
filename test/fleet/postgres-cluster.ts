import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Where Debian keeps PostgreSQL's programs, by major version. */
const DEBIAN_ROOT = "/usr/lib/postgresql";
const DATABASE_USER = "app";

/** A PostgreSQL of our own on a Unix socket in a temporary folder; nobody else can reach it. */
export interface PostgresCluster {
	/** Makes an empty database and answers its URL. */
	database(): string;
	stop(): void;
}

/** The folder of the newest PostgreSQL's programs, or why there is none. */
export function postgresPrograms(): { readonly directory: string } | { readonly missing: string } {
	const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT).filter((name) => /^\d+$/.test(name)) : [];
	const newest = versions.map(Number).sort((a, b) => b - a)[0];
	if (newest === undefined) return { missing: `no PostgreSQL below ${DEBIAN_ROOT}: apt-get install postgresql` };
	return { directory: join(DEBIAN_ROOT, String(newest), "bin") };
}

/** Starts one. Unless durable it does not sync: it is thrown away. PostgreSQL refuses root, so root becomes user postgres for it. */
export function startPostgres(writes: "durable" | "lost" = "lost"): PostgresCluster {
	const programs = postgresPrograms();
	if ("missing" in programs) throw new Error(programs.missing);
	const home = mkdtempSync(join(tmpdir(), "vouch-test-pg-"));
	const run = runnerFor(home);
	const data = join(home, "data");
	const settings = `-c listen_addresses= -c unix_socket_directories=${home} -c max_connections=200 -c fsync=${writes === "durable" ? "on" : "off"}`;
	const control = join(programs.directory, "pg_ctl");
	const stop = (): void => {
		if (existsSync(join(data, "postmaster.pid"))) run(control, ["-D", data, "-w", "-m", "immediate", "stop"]);
		rmSync(home, { recursive: true, force: true });
	};
	try {
		const user = ["-U", DATABASE_USER, "--auth=trust"];
		run(join(programs.directory, "initdb"), ["-D", data, ...user, "--no-sync", "-E", "UTF8"]);
		run(control, ["-D", data, "-w", "-o", settings, "-l", join(home, "log"), "start"]);
	} catch (error) {
		stop();
		throw error;
	}
	let databases = 0;
	return {
		database() {
			databases += 1;
			const name = `vouch${databases}`;
			run(join(programs.directory, "createdb"), ["-h", home, "-U", DATABASE_USER, name]);
			return `postgres://${DATABASE_USER}@/${name}?host=${encodeURIComponent(home)}`;
		},
		stop,
	};
}

type Run = (program: string, words: readonly string[]) => void;

function runnerFor(home: string): Run {
	const options: ExecFileSyncOptions = { cwd: home, stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 };
	if (userInfo().uid !== 0) return (program, words) => void execFileSync(program, words, options);
	const idOf = (flag: "-u" | "-g"): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
	chownSync(home, idOf("-u"), idOf("-g"));
	const asPostgres = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
	return (program, words) => void execFileSync("setpriv", [...asPostgres, program, ...words], options);
}
