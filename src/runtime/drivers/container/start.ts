import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { utf8 } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import { failures } from "../../failures.ts";
import type { ContainerPlan } from "./plan.ts";

/** Exactly the plan: writes podman's folder, hands the variables over by a descriptor, starts. */
export async function startContainer(plan: ContainerPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	const { container } = plan;
	const variables = environmentFile({ ...plan.baseEnvironment, ...secrets.environment });
	await writeFolder(container);
	return host.supervise({
		...plan.supervision,
		environment: container.environment,
		descriptors: [{ fd: container.environmentDescriptor, bytes: utf8(variables) }],
	});
}

async function writeFolder(container: ContainerPlan["container"]): Promise<void> {
	const { folder, files, links, directories } = container;
	await mkdir(folder, { recursive: true, mode: 0o700 });
	for (const path of directories) await mkdir(join(folder, path), { recursive: true, mode: 0o755 });
	await Promise.all(links.map(({ path, to }) => symlink(to, join(folder, path))));
	for (const { path, mode, text } of files) {
		await mkdir(dirname(join(folder, path)), { recursive: true, mode: 0o755 });
		await writeFile(join(folder, path), text, { mode, flag: "wx" });
	}
}

/** podman reads its file by lines of at most 64 KiB and cuts a carriage return off their end. */
const MAX_LINE_BYTES = 65_000;

function environmentFile(variables: Readonly<Record<string, string>>): string {
	const lines = Object.entries(variables).map(([name, value]) => {
		const line = `${name}=${value}`;
		const fits = !/[\r\n\0]/.test(value) && Buffer.byteLength(line) <= MAX_LINE_BYTES;
		if (!fits) throw failures.fail("environment-not-possible", { name });
		return line;
	});
	return `${lines.join("\n")}\n`;
}
