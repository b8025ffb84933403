import "reflect-metadata";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import * as x509 from "@peculiar/x509";
import pino from "pino";
import { Credentials } from "./credentials.ts";
import type { Transport } from "./transport.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

async function certificate(daysAgo: number, daysLeft: number): Promise<string> {
	const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
	const made = await x509.X509CertificateGenerator.createSelfSigned({
		name: "CN=node",
		notBefore: new Date(Date.now() - daysAgo * DAY_MS),
		notAfter: new Date(Date.now() + daysLeft * DAY_MS),
		keys,
		signingAlgorithm: ALGORITHM,
	});
	return `${made.toString("pem")}\n`;
}

interface Scene {
	readonly path: string;
	readonly asked: string[];
	readonly credentials: Credentials;
	/** One look at whether the certificate is due. */
	look(answerStatus?: number): Promise<void>;
}

async function scene(context: TestContext, daysAgo: number, daysLeft: number, key?: string): Promise<Scene> {
	const directory = mkdtempSync(join(tmpdir(), "vouch-credentials-"));
	context.after(() => rmSync(directory, { recursive: true }));
	const path = join(directory, "client.pem");
	writeFileSync(path, await certificate(daysAgo, daysLeft));
	if (key !== undefined) writeFileSync(join(directory, key), "a key");
	const credentials = new Credentials({
		ca: "",
		certificate: path,
		key: key === undefined ? path : join(directory, key),
	});
	const asked: string[] = [];
	const fresh = await certificate(0, 30);
	const look = async (answerStatus = 201): Promise<void> => {
		const stop = new AbortController();
		const post = async (_path: string, body: { readonly csr_pem: string }) => {
			asked.push(body.csr_pem);
			const answer = { mtls_client_cert_pem: fresh, ca_bundle_pem: fresh, expires_at: "2030-01-01T00:00:00Z" };
			return { status: answerStatus, body: answer, retryAfterSeconds: null };
		};
		const waiting = { pause: async () => stop.abort(), random: () => 0 };
		const transport = { post } as unknown as Transport;
		await credentials.keep(transport, "node-1", waiting, pino({ level: "silent" }), stop.signal);
	};
	return { path, asked, credentials, look };
}

test("a certificate in the first two thirds of its time stays", async (context) => {
	const { asked, look } = await scene(context, 15, 15);
	await look();
	assert.deepEqual(asked, []);
});

test("in the last third it is renewed: a new key, one file replaced whole, shown from then on", async (context) => {
	const { asked, look, path, credentials } = await scene(context, 25, 5);
	const before = credentials.tls();
	await look();
	assert.equal(asked.length, 1);
	const request = new x509.Pkcs10CertificateRequest(asked[0] ?? "");
	assert.equal(await request.verify(), true);
	assert.equal(request.subject, "CN=node-1");
	const text = readFileSync(path, "utf8");
	assert.match(text, /BEGIN CERTIFICATE.*BEGIN PRIVATE KEY/s);
	assert.equal(statSync(path).mode & 0o777, 0o600);
	assert.notEqual(credentials.tls(), before);
	assert.equal(credentials.tls().certificate, text);
	await look();
	assert.equal(asked.length, 1, "renewed again at once");
});

test("what could not be renewed stays as it is, and is tried again", async (context) => {
	const { asked, look, path, credentials } = await scene(context, 25, 5);
	const before = readFileSync(path, "utf8");
	await look(503);
	assert.equal(readFileSync(path, "utf8"), before);
	assert.equal(credentials.tls().certificate, before);
	await look();
	assert.equal(asked.length, 2);
	assert.notEqual(credentials.tls().certificate, before);
});

test("certificate and key in two files are somebody else's to renew", async (context) => {
	const { asked, look } = await scene(context, 29, 1, "client.key");
	await look();
	assert.deepEqual(asked, []);
});
