import { generateKeyPairSync } from "node:crypto";
import { z } from "zod";
import { enrollResponseSchema, renewResponseSchema } from "../api/conduits/schema.ts";
import { type PublicKey, publicKeyFromRaw } from "../evidence/index.ts";
import { agentFailures } from "./failures.ts";
import { type Reply, Transport } from "./transport.ts";

const ENROLL_TIMEOUT_MS = 30_000;
const CLIENT_KEY = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface Enrolling {
	readonly serverUrl: string;
	/** PEM of who may have signed the server's certificate; null trusts what the system trusts. */
	readonly ca: string | null;
	readonly token: string;
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	/** What this territory will sign receipts with. */
	readonly receiptKey: PublicKey;
}

export interface Enrolled {
	readonly territoryId: string;
	/** Certificate and key, PEM, in this order; null when the control plane gave no certificate. */
	readonly credentials: string | null;
	/** Signs decisions; null for an existing control plane, which signs none. */
	readonly controlPlaneKey: PublicKey | null;
	readonly cableUrl: string;
}

/** Becomes a territory (conduits section 2.3.1): the key never leaves this machine, only a request that it signed. */
export async function enroll(enrolling: Enrolling): Promise<Enrolled> {
	const { csrPem, keyPem } = await newCertificateRequest(enrolling.name);
	const tls = { ca: enrolling.ca, certificate: null, key: null };
	const transport = new Transport({ serverUrl: enrolling.serverUrl, territoryId: null, tls: () => tls });
	try {
		const body = {
			enroll_token: enrolling.token,
			name: enrolling.name,
			labels: enrolling.labels,
			platform: process.platform,
			csr_pem: csrPem,
			receipt_public_key: Buffer.from(enrolling.receiptKey.raw).toString("base64"),
		};
		const reply = await transport.post("/conduits/v1/territories/enroll", body, { timeoutMs: ENROLL_TIMEOUT_MS });
		const answer = answerOf("enrolling", enrollResponseSchema, reply);
		const { mtls_client_cert_pem: certificate, control_plane_public_key: controlPlaneKey } = answer;
		return {
			territoryId: answer.territory_id,
			credentials: certificate === undefined ? null : `${certificate.trimEnd()}\n${keyPem}`,
			controlPlaneKey:
				controlPlaneKey === undefined ? null : (publicKeyFromRaw(Buffer.from(controlPlaneKey, "base64")) ?? null),
			cableUrl: answer.config.cable_url,
		};
	} finally {
		transport.close();
	}
}

/** New credentials while the old ones are still good. */
export async function renewed(transport: Transport, name: string): Promise<string> {
	const { csrPem, keyPem } = await newCertificateRequest(name);
	const path = "/conduits/v1/territories/certificate";
	const reply = await transport.post(path, { csr_pem: csrPem }, { timeoutMs: ENROLL_TIMEOUT_MS });
	const answer = answerOf("renewing the certificate", renewResponseSchema, reply);
	return `${answer.mtls_client_cert_pem.trimEnd()}\n${keyPem}`;
}

function answerOf<Schema extends z.ZodType>(what: string, schema: Schema, { status, body }: Reply): z.output<Schema> {
	const answer = schema.safeParse(body);
	if (status === 201 && answer.success) return answer.data;
	const { error, detail } = z.object({ error: z.string(), detail: z.string() }).partial().catch({}).parse(body);
	throw agentFailures.fail("control-plane-refused", {
		what,
		status: String(status),
		code: error ?? "",
		detail: detail ?? (status === 201 ? "its answer is not of the protocol." : "no reason was given."),
	});
}

/** A fresh key and a request for a certificate that it signed. */
async function newCertificateRequest(name: string): Promise<{ readonly csrPem: string; readonly keyPem: string }> {
	// @peculiar/x509 finds its parts by reflection and wants this loaded before it.
	await import("reflect-metadata");
	const x509 = await import("@peculiar/x509");
	const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
	const imported = {
		privateKey: privateKey.toCryptoKey(CLIENT_KEY, true, ["sign"]),
		publicKey: publicKey.toCryptoKey(CLIENT_KEY, true, ["verify"]),
	};
	const request = await x509.Pkcs10CertificateRequestGenerator.create({
		name: [{ CN: [name] }],
		keys: imported as never,
		signingAlgorithm: CLIENT_KEY,
	});
	return { csrPem: request.toString("pem"), keyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
}
