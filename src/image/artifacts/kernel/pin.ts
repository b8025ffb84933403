import { z } from "zod";
import { digestSchema } from "../../../core/index.ts";

/** Debian policy 5.6.1 and 5.6.12: what names and versions of packages may hold. */
const packageName = z.string().regex(/^[a-z0-9][a-z0-9.+-]{1,127}$/);
const packageVersion = z.string().regex(/^[0-9][0-9A-Za-z.+:~-]{0,127}$/);

/** One package of one version: everything that is needed to get the very same bytes again. */
export const kernelPinSchema = z.strictObject({
	package: packageName,
	version: packageVersion,
	architecture: z.enum(["amd64", "arm64", "riscv64"]),
	suite: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
	/** Of the whole .deb, as the index said that the archive's key signed. */
	debDigest: digestSchema,
	sizeBytes: z.int().positive(),
	/** Which of Debian's archives has it. */
	archive: z.enum(["debian", "debian-security"]),
	/** Below the archive's root. */
	path: z.string().regex(/^pool\/(?:[A-Za-z0-9][A-Za-z0-9.+~_-]*\/)*[A-Za-z0-9][A-Za-z0-9.+~_%-]*\.deb$/),
});
export type KernelPin = z.infer<typeof kernelPinSchema>;

/** The package URL (purl) of a pinned kernel. */
export function packageUrlOf(pin: KernelPin): string {
	const name = `${encodeURIComponent(pin.package)}@${encodeURIComponent(pin.version)}`;
	return `pkg:deb/debian/${name}?arch=${pin.architecture}&distro=${pin.suite}`;
}
