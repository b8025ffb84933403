import { canonicalJson, type Digest, digestOf, hexOfDigest, type Json } from "../../core/index.ts";
import type { RootfsTree } from "../artifacts/rootfs/index.ts";
import { type InstalledPackage, packagesOf, systemOf } from "./packages.ts";

export interface SbomInput {
	readonly tree: RootfsTree;
	/** Seconds since 1970: when the document says it was made. */
	readonly epoch: number;
	/** Of the disk that has the tree, in hexadecimal. */
	readonly rootHash: string;
	readonly vouchVersion: string;
	/** By `NAME VERSION ARCHITECTURE`. */
	readonly debDigests: ReadonlyMap<string, Digest>;
	readonly kernel: {
		readonly name: string;
		readonly version: string;
		/** Package URL. */
		readonly url: string;
		readonly digest: Digest;
	};
}

/** Text of an SPDX 2.3 document, canonical JSON. */
export function writeSbom({ tree, epoch, rootHash, vouchVersion, debDigests, kernel }: SbomInput): string {
	const system = systemOf(tree);
	const image: Element = { SPDXID: "SPDXRef-Image", name: "image", versionInfo: rootHash, ...UNSAID };
	const kernelPackage: Element = {
		SPDXID: "SPDXRef-Kernel",
		name: kernel.name,
		versionInfo: kernel.version,
		...UNSAID,
		...checksums(kernel.digest),
		...packageUrl(kernel.url),
	};
	const installed = packagesOf(tree).map((one, index) => element(one, { index, system, debDigests }));
	const parts = [kernelPackage, ...installed];
	const content: Element = {
		spdxVersion: "SPDX-2.3",
		SPDXID: "SPDXRef-DOCUMENT",
		dataLicense: "CC0-1.0",
		name: `image-${rootHash}`,
		creationInfo: { created: timeOf(epoch), creators: [`Tool: vouch-${vouchVersion}`] },
		documentDescribes: ["SPDXRef-Image"],
		packages: [{ ...image, primaryPackagePurpose: "OPERATING-SYSTEM" }, ...parts],
		relationships: [
			relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"),
			...parts.map(({ SPDXID }) => relationship("SPDXRef-Image", "CONTAINS", SPDXID)),
		],
	};
	// SPDX 2.3, 6.5: unique for each document, so it depends on all that the document says.
	const documentNamespace = `https://vouch.dev/spdx/${hexOfDigest(digestOf(canonicalJson(content)))}`;
	return canonicalJson({ ...content, documentNamespace });
}

interface Element {
	readonly [name: string]: Json;
	readonly SPDXID: string;
}

/** SPDX asks for each of them. */
const UNSAID = {
	downloadLocation: "NOASSERTION",
	filesAnalyzed: false,
	licenseConcluded: "NOASSERTION",
	licenseDeclared: "NOASSERTION",
	copyrightText: "NOASSERTION",
} as const;

function element(
	one: InstalledPackage,
	{
		index,
		system,
		debDigests,
	}: { readonly index: number; readonly system: string | null } & Pick<SbomInput, "debDigests">,
): Element {
	const { type, name, version, architecture, supplier, license } = one;
	const digest = type === "deb" ? debDigests.get(`${name} ${version} ${architecture}`) : undefined;
	return {
		// SPDX 2.3, 7.2: letters, digits, `.` and `-`.
		SPDXID: `SPDXRef-Package-${index}-${name.replaceAll(/[^A-Za-z0-9.-]/g, "-")}`,
		name: printable(name),
		versionInfo: printable(version),
		...UNSAID,
		...(digest !== undefined && checksums(digest)),
		...packageUrl(urlOf(one, system)),
		...(supplier !== null && { supplier: supplierOf(printable(supplier)) }),
		// What it says need not be an SPDX expression.
		...(license !== null && { licenseComments: `The package says: ${printable(license)}` }),
	};
}

function urlOf({ type, name, version, architecture }: InstalledPackage, system: string | null): string {
	const encode = (text: string) => encodeURIComponent(text.toWellFormed());
	const space = type === "pypi" ? "" : `${encode(system ?? (type === "deb" ? "debian" : "alpine"))}/`;
	// purl-spec, types: PyPI's names are compared without case and with `-` for `_`.
	const shown = type === "pypi" ? name.toLowerCase().replaceAll("_", "-") : name;
	const qualifier = architecture === null ? "" : `?arch=${encode(architecture)}`;
	return `pkg:${type}/${space}${encode(shown)}@${encode(version)}${qualifier}`;
}

/** `Name <address>` in SPDX's form: 7.5. */
function supplierOf(text: string): string {
	return `Organization: ${text.replace(/^(.*?)\s*<([^<>]*)>$/, "$1 ($2)")}`;
}

function checksums(digest: Digest): { readonly checksums: Json } {
	return { checksums: [{ algorithm: "SHA256", checksumValue: hexOfDigest(digest) }] };
}

function packageUrl(referenceLocator: string): { readonly externalRefs: Json } {
	return { externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator }] };
}

function relationship(spdxElementId: string, relationshipType: string, relatedSpdxElement: string): Json {
	return { spdxElementId, relationshipType, relatedSpdxElement };
}

function timeOf(epoch: number): string {
	return new Date(epoch * 1000).toISOString().replace(".000Z", "Z");
}

function printable(text: string): string {
	return text.toWellFormed().replaceAll(/\p{Cc}/gu, "\ufffd");
}
