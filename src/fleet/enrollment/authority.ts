// @peculiar/x509 finds its parts by reflection and wants this loaded before it.
import "reflect-metadata";
import { createHash, randomBytes, type webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { privateFile } from "./private-file.ts";

/** Conduits section 3.5. */
const CA_NAME = "O=Cybros Nexus, CN=Cybros Conduits CA";
const CA_YEARS = 10;
const CLIENT_DAYS = 30;
const DAY_MS = 86_400_000;
const BACKDATED_MS = 60_000;
const ALGORITHM = {
	name: "RSASSA-PKCS1-v1_5",
	hash: "SHA-256",
	modulusLength: 3072,
	publicExponent: new Uint8Array([1, 0, 1]),
};

export interface ClientCertificate {
	readonly certificatePem: string;
	/** SHA-256 of the DER, lower-case hex. */
	readonly fingerprint: string;
	readonly serial: string;
	/** Milliseconds since 1970. */
	readonly expiresAt: number;
}

/** Signs the certificates by which territories prove who they are. Its key is a file of its own, never in the database. */
export class CertificateAuthority {
	readonly certificatePem: string;
	readonly #certificate: x509.X509Certificate;
	readonly #key: webcrypto.CryptoKey;

	private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
		this.#certificate = certificate;
		this.#key = key;
		this.certificatePem = certificate.toString("pem");
	}

	/** Opens the authority in a folder (`ca.key`, 0600, with the certificate behind it), made on first use. */
	static async open(directory: string, nowMs: number): Promise<CertificateAuthority> {
		const text = await privateFile(directory, "ca.key", async () => {
			const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
			const certificate = await selfSigned(keys, nowMs);
			const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
			return `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n${certificate.toString("pem")}\n`;
		});
		const [pkcs8] = x509.PemConverter.decode(text);
		const pem = text.slice(text.indexOf("-----BEGIN CERTIFICATE-----"));
		const key = await crypto.subtle.importKey("pkcs8", pkcs8 ?? new ArrayBuffer(0), ALGORITHM, false, ["sign"]);
		return new CertificateAuthority(new x509.X509Certificate(pem), key as webcrypto.CryptoKey);
	}

	/** A client certificate for a request that its own key signed; undefined for anything else. */
	async sign(csrPem: string, nowMs: number): Promise<ClientCertificate | undefined> {
		const request = await readRequest(csrPem);
		if (request === undefined) return undefined;
		const serial = serialNumber();
		const expiresAt = nowMs + CLIENT_DAYS * DAY_MS;
		const certificate = await x509.X509CertificateGenerator.create({
			serialNumber: serial,
			subject: request.subject,
			issuer: this.#certificate.subject,
			notBefore: new Date(nowMs - BACKDATED_MS),
			notAfter: new Date(expiresAt),
			publicKey: request.publicKey,
			signingKey: this.#key as never,
			signingAlgorithm: ALGORITHM,
			extensions: [
				new x509.BasicConstraintsExtension(false, undefined, true),
				new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
				new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
				await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
				await x509.AuthorityKeyIdentifierExtension.create(this.#certificate),
			],
		});
		const fingerprint = createHash("sha256").update(Buffer.from(certificate.rawData)).digest("hex");
		return { certificatePem: certificate.toString("pem"), fingerprint, serial, expiresAt };
	}
}

async function readRequest(pem: string): Promise<x509.Pkcs10CertificateRequest | undefined> {
	try {
		const request = new x509.Pkcs10CertificateRequest(pem);
		return (await request.verify()) ? request : undefined;
	} catch {
		return undefined;
	}
}

async function selfSigned(keys: webcrypto.CryptoKeyPair, nowMs: number): Promise<x509.X509Certificate> {
	return x509.X509CertificateGenerator.create({
		serialNumber: serialNumber(),
		subject: CA_NAME,
		issuer: CA_NAME,
		notBefore: new Date(nowMs - BACKDATED_MS),
		notAfter: new Date(nowMs + CA_YEARS * 365 * DAY_MS),
		publicKey: keys.publicKey,
		signingKey: keys.privateKey,
		signingAlgorithm: ALGORITHM,
		extensions: [
			new x509.BasicConstraintsExtension(true, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
			await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
		],
	});
}

/** Random, positive, 63 bits. */
function serialNumber(): string {
	const bytes = randomBytes(8);
	bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
	return bytes.toString("hex");
}
