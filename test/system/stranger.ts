import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "./front-door.ts";
import { type ImageDoor, imageCache } from "./image-door.ts";

const NOBODY = 65_534;
/** What a build would fetch: another clock makes signatures of today invalid, and the network is not what is tried. */
const FETCHED = ["kernels", "packages"];

/**
 * Somebody else, who builds in another folder, as another user, with another umask, clock, time zone and locale, and with
 * nothing of what was built before.
 */
export class Stranger {
	readonly directory = realpathSync(mkdtempSync(join(tmpdir(), "vouch-stranger-")));
	/** How this stranger is no other user here; undefined when it is one. */
	readonly sameUser: string | undefined;
	readonly #clock = join(this.directory, "clock.so");
	readonly #rights: readonly string[];

	constructor() {
		chmodSync(this.directory, 0o755);
		for (const name of ["home", "data", "cache/vouch/image", "runtime", "else where"]) {
			mkdirSync(join(this.directory, name), { recursive: true, mode: 0o700 });
		}
		const source = join(import.meta.dirname, "other-clock.c");
		const compiled = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", this.#clock, source]);
		assert.equal(compiled.status, 0, `${compiled.stderr}`);
		const ranges = join(this.directory, "ranges");
		writeFileSync(ranges, "nobody:100000:65536\n");
		this.sameUser = whySameUser(ranges);
		this.#rights = this.sameUser === undefined ? asNobody(ranges) : [];
	}

	/** A copy of a project and of what it fetches; its path. */
	take(project: string, name: string): string {
		const copy = join(this.directory, "else where", name);
		cpSync(project, copy, { recursive: true, verbatimSymlinks: true });
		for (const folder of FETCHED) {
			const from = join(imageCache, "vouch/image", folder);
			const to = join(this.directory, "cache/vouch/image", folder);
			if (existsSync(from)) cpSync(from, to, { recursive: true });
		}
		if (this.sameUser === undefined) spawnSync("chown", ["-R", `${NOBODY}:${NOBODY}`, this.directory]);
		return copy;
	}

	/** Runs Vouch and expects success; what it printed. */
	vouch(...args: readonly string[]): string {
		return this.run([program, ...args]);
	}

	run(argv: readonly string[]): string {
		const words = [...this.#rights, "sh", "-c", 'umask 077; exec "$@"', "sh", ...argv];
		const ended = spawnSync(words[0] ?? "", words.slice(1), {
			cwd: this.directory,
			env: this.#environment(),
			encoding: "utf8",
		});
		assert.equal(ended.status, 0, `${argv.join(" ")}: ${ended.stdout}${ended.stderr}`);
		return ended.stdout;
	}

	#environment(): NodeJS.ProcessEnv {
		return {
			PATH: process.env.PATH,
			HOME: join(this.directory, "home"),
			XDG_DATA_HOME: join(this.directory, "data"),
			XDG_CACHE_HOME: join(this.directory, "cache"),
			XDG_RUNTIME_DIR: join(this.directory, "runtime"),
			TZ: "Asia/Kathmandu",
			// It need not be installed: Node's own tables have it, with an i that has no dot.
			LC_ALL: "tr_TR.UTF-8",
			LANG: "tr_TR.UTF-8",
			LD_PRELOAD: this.#clock,
		};
	}

	close(): void {
		rmSync(this.directory, { recursive: true, force: true });
	}
}

/** Builds a project of the door's workspace, and again as the stranger; both digests. */
export async function buildTwice(door: ImageDoor, stranger: Stranger, name: string) {
	const project = join(door.workspace, name);
	const mine = await door.build(`./${name}`, "--lock");
	const copy = stranger.take(project, name);
	return { mine, theirs: stranger.vouch("image", "build", copy, "--quiet").trim() };
}

function whySameUser(ranges: string): string | undefined {
	if (process.geteuid?.() !== 0) return "only root can become another user";
	const [first = "", ...rest] = asNobody(ranges);
	const look = spawnSync(first, [...rest, "test", "-x", program]);
	return look.status === 0 ? undefined : "another user can't read this checkout";
}

/**
 * Programs that build in a user namespace want a range of ids for the user. A machine gives nobody none, so a mount namespace
 * of this run alone shows them a file that does.
 */
function asNobody(ranges: string): readonly string[] {
	const shown = 'for file in subuid subgid; do mount --bind "$0" "/etc/$file"; done; exec setpriv "$@"';
	const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
	return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", shown, ranges, ...user];
}
