import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after, describe } from "node:test";

const ROOT = dirname(dirname(import.meta.dirname));
const GNU = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu", riscv64: "riscv64-linux-gnu" } as const;

function missing(compiler: string): string | false {
	return spawnSync(compiler, ["--version"]).status === 0 ? false : `not installed: ${compiler}`;
}

describe("the guest's build", () => {
	const folder = mkdtempSync(join(tmpdir(), "vouch-guest-build-"));
	after(() => rmSync(folder, { recursive: true }));

	function buildIn(name: string, architecture: string, umask: string): Buffer {
		const tree = join(folder, name);
		mkdirSync(join(tree, "scripts"), { recursive: true });
		for (const path of ["guest", "scripts/build-guest"])
			cpSync(join(ROOT, path), join(tree, path), { recursive: true });
		const command = `umask ${umask}; exec bash '${tree}/scripts/build-guest' ${architecture}`;
		const { status, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8", cwd: "/" });
		assert.equal(status, 0, stderr);
		return readFileSync(join(tree, "build", `vouch-guest-${architecture}`));
	}

	for (const [architecture, gnu] of Object.entries(GNU)) {
		test(`${architecture}: the same bytes in every folder`, { skip: missing(`${gnu}-gcc`) }, () => {
			const first = buildIn(`one-${architecture}`, architecture, "022");
			const second = buildIn(`another-and-longer/place-${architecture}`, architecture, "077");
			assert.ok(first.equals(second));
			assert.ok(first.length < 1 << 20, `${first.length} bytes`);
		});
	}

	test("an architecture that there is none of is refused", () => {
		const { status, stderr } = spawnSync("bash", [join(ROOT, "scripts/build-guest"), "vax"], { encoding: "utf8" });
		assert.equal(status, 2);
		assert.match(stderr, /there is no architecture vax/);
	});
});
