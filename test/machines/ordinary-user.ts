/**
 * A run in a machine as whoever starts this: `ordinary-user.ts HOME`. HOME holds `image.json`, an image, and `workspace`. Says as
 * JSON how it ended, what came back, and as which users QEMU ran.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ImageRoot } from "../../src/runtime/index.ts";
import { tryOut } from "../conformance/sandbox.ts";
import { qemuDriver } from "./qemu-driver.ts";

const home = process.argv[2] ?? "";
const image: ImageRoot = JSON.parse(readFileSync(join(home, "image.json"), "utf8"));
const workspace = join(home, "workspace");
const users = new Set<number>();
const { ending, stdout } = await tryOut(qemuDriver, {
	argv: ["sh", "-c", "cat given; echo new > made; sleep 1; exit 3"],
	workspace: { source: workspace, access: "read-write" },
	root: image,
	cacheDirectory: join(home, "cache"),
	during: async (_, plan) => {
		for (const user of usersOf(`vouch-${plan.runId}`)) users.add(user);
	},
});
const made = readFileSync(join(workspace, "made"), "utf8");
console.log(JSON.stringify({ exitCode: ending.exitCode, stdout: stdout.toString(), made, users: [...users] }));

/** Those that processes with this word on their command line run as. */
function usersOf(word: string): readonly number[] {
	return readdirSync("/proc").flatMap((name) => {
		try {
			const words = readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0");
			return words.includes(word) ? [statSync(`/proc/${name}`).uid] : [];
		} catch {
			return [];
		}
	});
}
