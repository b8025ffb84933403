import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Requested {
	readonly csr: string;
	readonly key: string;
}

/** As nexusd makes one: RSA and SHA-256, subject O and CN (conduits section 3.3). */
export function newCertificateRequest(commonName = "node", bits = 2048): Requested {
	const home = mkdtempSync(join(tmpdir(), "vouch-test-csr-"));
	try {
		const subject = ["-subj", `/O=Cybros Nexus/CN=${commonName}`];
		const files = ["-keyout", join(home, "key"), "-out", join(home, "csr")];
		const made = ["req", "-new", "-newkey", `rsa:${bits}`, "-nodes", "-sha256", ...subject, ...files];
		execFileSync("openssl", made, { stdio: "ignore" });
		return { csr: readFileSync(join(home, "csr"), "utf8"), key: readFileSync(join(home, "key"), "utf8") };
	} finally {
		rmSync(home, { recursive: true, force: true });
	}
}

export function certificateRequest(): string {
	return newCertificateRequest().csr;
}
