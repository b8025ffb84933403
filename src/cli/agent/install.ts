import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fail } from "../failures.ts";
import { packageRoot } from "../version.ts";
import { HELPER_PATH, type Installation, type InstalledFile, unitsOf } from "./units.ts";

export interface Installed {
	readonly files: readonly InstalledFile[];
	/** What a person does next, in order. */
	readonly next: readonly string[];
}

export function plannedInstallation(installation: Installation): Installed {
	const { user, config } = installation;
	return {
		files: unitsOf(installation),
		next: [
			"systemd-sysusers",
			"systemctl daemon-reload",
			`install -d -o ${user} -g ${user} -m 0700 ${dirname(config)}`,
			`setpriv --reuid ${user} --regid ${user} --init-groups ${installation.program} agent enroll --server URL --token - --data ${dirname(config)}`,
			"systemctl enable --now vouch-helper.socket vouch-agent.service",
		],
	};
}

/** Writes it below a root: `/`, or a folder in which a system is being put together. */
export function install(installation: Installation, root: string): Installed {
	const helper = join(packageRoot, "build/vouch-helper");
	if (!existsSync(helper))
		throw fail("cli.helper-missing", { path: helper, script: join(packageRoot, "scripts/build-helper") });
	const planned = plannedInstallation(installation);
	try {
		for (const { path, text } of planned.files) {
			const target = join(root, path);
			mkdirSync(dirname(target), { recursive: true });
			writeFileSync(target, text, { mode: 0o644 });
		}
		const target = join(root, HELPER_PATH);
		mkdirSync(dirname(target), { recursive: true });
		copyFileSync(helper, target);
		chmodSync(target, 0o755);
	} catch (error) {
		throw fail("cli.install-failed", { root, problem: (error as Error).message }, error);
	}
	return planned;
}
