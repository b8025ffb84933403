import { text } from "node:stream/consumers";
import { connect } from "../../api/index.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { normalServer, readPrivately } from "../fleet/logins.ts";
import { ownLogins, readText, trust } from "../fleet/session.ts";
import { signIn } from "../fleet/sign-in.ts";
import { printable, printJson } from "../screen.ts";

export const loginAction: Action = async ({ operands, flags }) => {
	const server = normalServer(operands[0] ?? "");
	const caFile = flags.text("--ca");
	const ca = caFile === undefined ? null : readText(caFile);
	trust(ca);
	const token = flags.has("--sso") ? await signIn(server) : await tokenFor(server, flags);
	const { user, role, account_name } = await connect({ server, token }).account.whoami();
	const logins = ownLogins();
	logins.keep({ server, token, ca });
	const name = user.name ?? user.id;
	if (flags.has("--json")) printJson({ server, file: logins.pathOf(server), user, role, account: account_name });
	else process.stdout.write(`${printable(name)}, ${role} of ${printable(account_name)} at ${server}\n`);
	return 0;
};

async function tokenFor(server: string, flags: FlagValues): Promise<string> {
	const file = flags.text("--token-file");
	const token =
		file !== undefined ? readPrivately(file) : process.stdin.isTTY ? await asked(server) : await text(process.stdin);
	const trimmed = token.trim();
	if (trimmed === "" || /\s/.test(trimmed))
		throw fail("cli.usage", { problem: `A token for ${server} is one word: give it on stdin or with --token-file.` });
	return trimmed;
}

async function asked(server: string): Promise<string> {
	const { password, isCancel } = await import("@clack/prompts");
	const answer = await password({ message: `Token for ${server}`, output: process.stderr });
	if (isCancel(answer)) throw fail("cli.usage", { problem: "No token was given." });
	return answer;
}

export const logoutAction: Action = async ({ operands, flags }) => {
	const logins = ownLogins();
	const server = operands[0] ?? logins.current();
	if (server === undefined) throw fail("cli.no-server");
	const was = logins.forget(server);
	if (flags.has("--json")) printJson({ server: normalServer(server), was });
	else
		process.stdout.write(
			was === "forgotten" ? `Forgotten: the token for ${server}\n` : `There was no token for ${server}\n`,
		);
	return 0;
};
