import assert from "node:assert/strict";
import test from "node:test";
import { buildersMissing, tryTemplate } from "./template-project.ts";

/**
 * Each fetches the packages of a whole toolchain and builds twice: minutes on a small machine. Asked for by name, with the
 * runner that sets no time: `VOUCH_TEMPLATES=python,c node_modules/.bin/node --test test/system/templates.test.ts`.
 */
const asked = (process.env.VOUCH_TEMPLATES ?? "").split(",");

for (const template of ["python", "node", "go", "rust", "c"] as const) {
	const unasked = asked.includes(template) ? false : `it takes minutes: set VOUCH_TEMPLATES=${template} to run it`;
	test(`a ${template} project builds, verifies and comes out identical again`, {
		skip: unasked || buildersMissing(),
	}, async () => {
		await assert.doesNotReject(tryTemplate(template));
	});
}
