import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { reasonOf } from "../../core/index.ts";
import { fail } from "../failures.ts";

const loginSchema = z.strictObject({
	/** Normal form of the URL: see `normalServer`. */
	server: z.string(),
	token: z.string(),
	/** PEM of an authority that vouches for the server beside those of the system. */
	ca: z.string().nullable(),
});
export type Login = z.infer<typeof loginSchema>;

/** Tokens of control planes: a file for each (0600), and the name of the one that is meant when nobody says. */
export class Logins {
	readonly #directory: string;

	constructor(directory: string) {
		this.#directory = directory;
	}

	pathOf(server: string): string {
		return join(this.#directory, `${encodeURIComponent(normalServer(server))}.json`);
	}

	/** Keeps it, and makes it the one that is meant. */
	keep(login: Login): void {
		mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
		const server = normalServer(login.server);
		writePrivately(this.pathOf(server), `${JSON.stringify({ ...login, server }, null, 2)}\n`);
		writePrivately(this.#currentPath, `${server}\n`);
	}

	find(server: string): Login | undefined {
		const path = this.pathOf(server);
		if (!existsSync(path)) return undefined;
		const read = loginSchema.safeParse(parsed(readPrivately(path)));
		if (!read.success) throw fail("cli.login-unreadable", { path, problem: "it is not what `vouch login` writes" });
		return read.data;
	}

	/** URL of the server that is meant, or undefined. */
	current(): string | undefined {
		return existsSync(this.#currentPath) ? readFileSync(this.#currentPath, "utf8").trim() : undefined;
	}

	/** Whether there was one. */
	forget(server: string): "forgotten" | "unknown" {
		const path = this.pathOf(server);
		if (this.current() === normalServer(server)) rmSync(this.#currentPath, { force: true });
		if (!existsSync(path)) return "unknown";
		rmSync(path);
		return "forgotten";
	}

	get #currentPath(): string {
		return join(this.#directory, "current");
	}
}

/** `https://host[:port][/path]` without a slash at the end; throws for what is no such URL. */
export function normalServer(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	const problem =
		"a control plane is an http or https URL without user, query and fragment, as https://vouch.example.com";
	if (url === undefined || !["http:", "https:"].includes(url.protocol))
		throw fail("cli.usage", { problem: `${text}: ${problem}.` });
	if (url.username !== "" || url.search !== "" || url.hash !== "")
		throw fail("cli.usage", { problem: `${url.origin}: ${problem}.` });
	return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

/** A secret's file that others may read is not used: it says who has it. */
export function readPrivately(path: string): string {
	let mode: number;
	try {
		mode = statSync(path).mode;
	} catch (error) {
		throw fail("cli.file-unreadable", { path, problem: reasonOf(error) }, error);
	}
	if ((mode & 0o077) !== 0) throw fail("cli.token-open-to-others", { path });
	return readFileSync(path, "utf8");
}

function writePrivately(path: string, text: string): void {
	const temporary = `${path}.${process.pid}.tmp`;
	writeFileSync(temporary, text, { mode: 0o600 });
	renameSync(temporary, path);
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
