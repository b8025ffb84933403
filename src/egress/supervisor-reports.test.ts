import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf, systemClock } from "../core/index.ts";
import { Ledger } from "./ledger.ts";
import { gateLimits } from "./limits.ts";
import { reconcile } from "./reconcile.ts";
import { SupervisorReports } from "./supervisor-reports.ts";
import { Visit } from "./visit.ts";

function reportsAndLedger(): { reports: SupervisorReports; ledger: Ledger } {
	const limits = gateLimits();
	const ledger = new Ledger({ clock: systemClock, limits, processOf: null, onEntry: null });
	return { reports: new SupervisorReports(ledger, limits), ledger };
}

const entriesOf = (ledger: Ledger) =>
	ledger.close(
		(leaves) => digestOf(Buffer.concat(leaves)),
		reconcile(null, { carriedBytes: 0, dnsBytes: 0, datagramBytes: 0, strangeFrames: 0 }),
	).entries;

test("a kernel count that comes before its connection's header is that connection's, not a second attempt", () => {
	const { reports, ledger } = reportsAndLedger();
	reports.note({ event: "connection", id: 1, received: 70, sent: 0 });
	reports.expect(1, new Visit("interface"));
	reports.closeVisits();
	assert.equal(reports.explained().carriedBytes, 70);
	assert.deepEqual(entriesOf(ledger), []);
});

test("a kernel count without any connection is an entry at the end, and explains its bytes", () => {
	const { reports, ledger } = reportsAndLedger();
	reports.note({ event: "connection", id: 2, received: 30, sent: 0 });
	reports.closeVisits();
	assert.equal(reports.explained().carriedBytes, 30);
	assert.deepEqual(
		entriesOf(ledger).map(({ verdict, bytesWithheld, attempts }) => [verdict, bytesWithheld, attempts]),
		[["refused", 30, 1]],
	);
});
