import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Logger } from "pino";
import type { Waiting } from "./back-off.ts";
import { renewed } from "./enrollment.ts";
import type { TlsMaterial, Transport } from "./transport.ts";

const LOOK_MS = 3_600_000;

export interface CredentialFiles {
	/** Empty: what the system trusts. */
	readonly ca: string;
	/** Certificate and key may be in one file, which is then replaced whole when they are renewed. Empty: none. */
	readonly certificate: string;
	readonly key: string;
}

/** What a node shows its control plane. The certificate is renewed when a third of its time is left. */
export class Credentials {
	readonly #files: CredentialFiles;
	#material: TlsMaterial;

	constructor(files: CredentialFiles) {
		this.#files = files;
		this.#material = readMaterial(files);
	}

	/** Another object after each change. */
	readonly tls = (): TlsMaterial => this.#material;

	/** Looks now and then, until `stop`. */
	async keep(transport: Transport, name: string, waiting: Waiting, log: Logger, stop: AbortSignal): Promise<void> {
		while (!stop.aborted) {
			if (this.#isDue(Date.now())) {
				await this.#renew(transport, name).then(
					() => log.info("the certificate was renewed"),
					(error: Error) => log.warn({ problem: error.message }, "the certificate could not be renewed"),
				);
			}
			await waiting.pause(LOOK_MS * (0.75 + waiting.random() / 2), stop);
		}
	}

	#isDue(nowMs: number): boolean {
		const { certificate } = this.#material;
		// In two files it was put here by somebody else, whose it is to renew.
		if (certificate === null || this.#files.certificate !== this.#files.key) return false;
		const { validFromDate, validToDate } = new X509Certificate(certificate);
		const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
		return nowMs > to - (to - from) / 3;
	}

	async #renew(transport: Transport, name: string): Promise<void> {
		const pem = await renewed(transport, name);
		const { certificate: path } = this.#files;
		writeFileSync(`${path}.new`, pem, { mode: 0o600 });
		renameSync(`${path}.new`, path);
		this.#material = readMaterial(this.#files);
	}
}

function readMaterial({ ca, certificate, key }: CredentialFiles): TlsMaterial {
	const read = (path: string): string | null => (path === "" ? null : readFileSync(path, "utf8"));
	return { ca: read(ca), certificate: read(certificate), key: read(key) };
}
