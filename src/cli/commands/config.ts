import type { Action } from "../command.ts";
import { ownLogins, serverMeant } from "../fleet/session.ts";
import { printable, printJson, table } from "../screen.ts";
import { agentSettings } from "../settings/agent-settings.ts";
import { clientSettings } from "../settings/client-settings.ts";
import { serverSettings } from "../settings/server-settings.ts";
import { type Effective, readSettings, type SettingsTable } from "../settings/settings.ts";

const PROGRAMS: Readonly<Record<string, SettingsTable>> = {
	client: clientSettings,
	server: serverSettings,
	agent: agentSettings,
};

export const configAction: Action = async ({ operands, flags }) => {
	const program = operands[0] ?? "client";
	const settings = PROGRAMS[program] ?? clientSettings;
	const file = flags.text("--config") ?? null;
	const { effective } = readSettings(settings, { file, flags, environment: process.env });
	const shown = effective.map((one) => hidden(settings, one));
	const login = program === "client" ? serverMeant(flags) : undefined;
	const kept = login === undefined ? null : { server: login, file: ownLogins().pathOf(login) };
	if (flags.has("--json")) printJson({ program, settings: shown.map(({ name: _, ...rest }) => rest), login: kept });
	else {
		const rows = shown.map(({ key, value, from }) => [
			key,
			printable(String(value)) || "-",
			from,
			whyOf(settings, key),
		]);
		process.stdout.write(`${table([["SETTING", "VALUE", "FROM", "WHY"], ...rows])}\n`);
		if (kept !== null) process.stdout.write(`\nasks ${kept.server} with the token in ${kept.file}\n`);
	}
	return 0;
};

/** Whether a secret is set, not which; also the password in a database's URL. */
function hidden(settings: SettingsTable, one: Effective): Effective {
	if (one.value === "") return one;
	const value = String(one.value).replace(/(?<=:\/\/[^:@/]*:)[^@]*(?=@)/, "…");
	return { ...one, value: settings[one.name]?.secret === undefined ? value : "(set)" };
}

function whyOf(settings: SettingsTable, key: string): string {
	return Object.values(settings).find((setting) => setting.key === key)?.reason ?? "";
}
