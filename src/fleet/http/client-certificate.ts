import { createHash, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * SHA-256 of the certificate that a client of our own TLS server showed, lower-case hex; null without one. It only counts when our
 * CA signed it; whether it is one of ours is looked up by this fingerprint.
 */
export function clientCertificateOf(socket: Socket): string | null {
	if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
	const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
	return certificate === undefined ? null : createHash("sha256").update(certificate.raw).digest("hex");
}
