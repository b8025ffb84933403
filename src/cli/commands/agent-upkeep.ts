import { realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { agentChecks } from "../agent/doctor.ts";
import { install, plannedInstallation } from "../agent/install.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { ownDirectories } from "../node-keys.ts";
import { printJson } from "../screen.ts";
import { packageRoot } from "../version.ts";
import { readAgentSettings } from "./agent.ts";
import { showChecks } from "./doctor.ts";

export const agentDoctorAction: Action = async ({ flags }) => {
	const checks = await agentChecks(readAgentSettings(flags), ownDirectories());
	const works = checks.every(({ status }) => status !== "missing");
	if (flags.has("--json")) printJson({ works, checks });
	else showChecks("agent", checks);
	return works ? 0 : 1;
};

const USER = /^[a-z_][a-z0-9_-]{0,30}$/;

export const agentInstallAction: Action = async ({ flags }) => {
	const user = flags.text("--user") ?? "vouch";
	if (!USER.test(user)) throw fail("cli.usage", { problem: `--user ${user}: that is no name for a system user.` });
	const config = flags.text("--config") ?? "/var/lib/vouch-agent/agent/agent.yaml";
	if (!/^\/[^\s%"\\]*$/.test(config))
		throw fail("cli.usage", { problem: `--config ${config}: give an absolute path without blanks.` });
	const installation = { program: realpathSync(join(packageRoot, "bin/vouch")), user, config };
	const root = resolve(flags.text("--root") ?? "/");
	const { files, next } = flags.has("--dry-run") ? plannedInstallation(installation) : install(installation, root);
	if (flags.has("--json")) printJson({ files, next });
	else if (flags.has("--dry-run")) process.stdout.write(files.map(({ path, text }) => `# ${path}\n${text}\n`).join(""));
	else process.stdout.write(`Installed below ${root}. Now, as root:\n${next.map((line) => `  ${line}\n`).join("")}`);
	return 0;
};
