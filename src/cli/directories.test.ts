import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { directoriesFrom } from "./directories.ts";

test("without XDG variables everything is below home, sockets below the temporary folder", () => {
	assert.deepEqual(directoriesFrom({ HOME: "/home/user" }, 1000), {
		data: "/home/user/.local/share/vouch",
		cache: "/home/user/.cache/vouch",
		runtime: join(tmpdir(), "vouch-1000/vouch"),
	});
});

test("XDG variables are used", () => {
	const environment = {
		HOME: "/home/user",
		XDG_DATA_HOME: "/data",
		XDG_CACHE_HOME: "/cache",
		XDG_RUNTIME_DIR: "/run/user/1000",
	};
	assert.deepEqual(directoriesFrom(environment, 1000), {
		data: "/data/vouch",
		cache: "/cache/vouch",
		runtime: "/run/user/1000/vouch",
	});
});

test("relative and empty XDG values are ignored, as the specification says", () => {
	const environment = { HOME: "/home/user", XDG_DATA_HOME: "data", XDG_CACHE_HOME: "", XDG_RUNTIME_DIR: "./run" };
	assert.deepEqual(directoriesFrom(environment, 7), directoriesFrom({ HOME: "/home/user" }, 7));
});

test("two users never share the folder of sockets", () => {
	assert.notEqual(directoriesFrom({}, 1000).runtime, directoriesFrom({}, 1001).runtime);
});
