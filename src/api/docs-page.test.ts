import assert from "node:assert/strict";
import test from "node:test";
import { docsPage, openApiDocument, operations } from "./index.ts";

const page = docsPage("1.2.3 <b>");

test("every operation has its part, and every link within the page leads to one", () => {
	const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
	assert.deepEqual([...ids].sort(), Object.keys(operations).sort());
	for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.has(target), target);
	assert.ok(page.includes("/mothership/api/v1/facilities/{facility_id}/directives"));
});

test("nothing is loaded and nothing runs; what comes from elsewhere is text", () => {
	assert.doesNotMatch(page, /<script|<link|<img|<iframe|\ssrc=|\son\w+=|https?:\/\//);
	assert.ok(page.includes("1.2.3 &#60;b&#62;"));
	assert.doesNotMatch(page, /undefined|\[object/);
});

test("its tags are closed in their order, and it says what the document says", () => {
	const open: string[] = [];
	for (const [, end, name = ""] of page.replace(/<style>[\s\S]*<\/style>/, "").matchAll(/<(\/?)([a-z][a-z0-9]*)\b/g)) {
		if (name === "meta") continue;
		if (end === "") open.push(name);
		else assert.equal(open.pop(), name);
	}
	assert.deepEqual(open, []);
	const { paths } = openApiDocument("1") as { paths: object };
	for (const path of Object.keys(paths)) assert.ok(page.includes(`<code>${path}</code>`), path);
});
