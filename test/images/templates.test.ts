import assert from "node:assert/strict";
import test from "node:test";
import { buildersMissing } from "../system/image-door.ts";
import { tryTemplate } from "./template-project.ts";

/** Each fetches the packages of a whole toolchain and builds twice. */
for (const template of ["python", "node", "go", "rust", "c"] as const) {
	test(`a ${template} project builds, runs, verifies and comes out identical again`, {
		skip: buildersMissing("mmdebstrap", "buildah"),
	}, async () => {
		await assert.doesNotReject(tryTemplate(template));
	});
}
