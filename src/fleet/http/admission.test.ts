import assert from "node:assert/strict";
import test from "node:test";
import { operations, RATES } from "../../api/index.ts";
import { Admission } from "./admission.ts";
import type { Authentication } from "./authenticate.ts";
import type { Identity } from "./identity.ts";

const row = operations["nodes.logChunk"];
const client = { address: "192.0.2.1", peer: "192.0.2.1", clientCertificate: null };
const request = { method: "POST", path: "/", params: {}, headers: {}, ...client };

function admissionOf(directiveId: string): Admission {
	const identity = { kind: "directive", territory: { id: "territory" }, directiveId, leaseId: null };
	const authentication = { identify: async () => identity as Identity } as unknown as Authentication;
	return new Admission(authentication, () => Math.trunc(performance.now()));
}

test("output that comes faster than its rate waits its turn, and none of it is refused", async () => {
	const admission = admissionOf("noisy");
	const admit = () => admission.admit(row, request);
	const { requests, windowMs } = RATES["log-chunk"];
	const began = performance.now();
	for (let count = 0; count < requests; count++) await admit();
	const atOnceMs = performance.now() - began;
	// Several streams of a node at a time.
	const late = 60;
	await Promise.all(Array.from({ length: late }, admit));
	const leastMs = (late * windowMs) / requests - atOnceMs;
	assert.ok(performance.now() - began >= leastMs, "they came one after the other");
});
