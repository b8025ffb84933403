/** Loaded into the process of every test file: what a test left open must not keep the whole suite waiting. */
const FILE_LIMIT_MS = 420_000;

setTimeout(() => {
	const open = process.getActiveResourcesInfo().filter((name) => name !== "Timeout");
	process.stderr.write(
		`This file has not ended after ${FILE_LIMIT_MS / 1000} s. Still open: ${open.join(", ") || "timers"}.\n`,
	);
	process.exit(1);
}, FILE_LIMIT_MS).unref();
