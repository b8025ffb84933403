import "reflect-metadata";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A self-signed certificate for 127.0.0.1: `server.crt` and `server.key` in a folder. */
export async function writeServerCertificate(
	directory: string,
): Promise<{ readonly certificate: string; readonly key: string }> {
	const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
	const certificate = await x509.X509CertificateGenerator.createSelfSigned({
		name: "CN=vouch test",
		notBefore: new Date(Date.now() - 60_000),
		notAfter: new Date(Date.now() + 3_600_000),
		keys,
		signingAlgorithm: ALGORITHM,
		extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
	});
	const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
	const paths = { certificate: join(directory, "server.crt"), key: join(directory, "server.key") };
	writeFileSync(paths.certificate, certificate.toString("pem"));
	writeFileSync(paths.key, x509.PemConverter.encode(pkcs8, "PRIVATE KEY"), { mode: 0o600 });
	return paths;
}
