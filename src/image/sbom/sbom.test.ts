import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { digestOf } from "../../core/index.ts";
import { bytesContent, type DirectoryNode, directoryNode, type RootfsTree } from "../artifacts/rootfs/index.ts";
import { writeSbom } from "./index.ts";
import { packagesOf, parseApkInstalled, parseDpkgStatus } from "./packages.ts";

function treeOf(files: Readonly<Record<string, string>>): RootfsTree {
	const root = directoryNode();
	for (const [path, text] of Object.entries(files)) {
		const names = path.split("/");
		let folder: DirectoryNode = root;
		for (const name of names.slice(0, -1)) {
			const found = folder.children.get(name);
			const next: DirectoryNode = found?.kind === "directory" ? found : directoryNode();
			folder.children.set(name, next);
			folder = next;
		}
		const node = { kind: "file", meta: root.meta, content: bytesContent(Buffer.from(text)) } as const;
		folder.children.set(names.at(-1) ?? "", node);
	}
	return { root };
}

const STATUS = `Package: zlib1g
Status: install ok installed
Maintainer: Mark Brown <broonie@debian.org>
Architecture: amd64
Version: 1:1.2.13.dfsg-1
Description: compression library
 Version: 9
 .

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: half
`;

const APK = `C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
L:MIT
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:busybox
V:1.36.1-r5
A:x86_64
`;

const files = {
	"usr/lib/os-release": 'NAME="Debian"\nID=debian\n',
	"var/lib/dpkg/status": STATUS,
	"var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4\nArchitecture: all\n",
	"var/lib/dpkg/status.d/base.md5sums": "Package: no\nVersion: 1\n",
	"lib/apk/db/installed": APK,
	"usr/local/lib/python3.11/site-packages/Some_Thing-1.0.dist-info/METADATA":
		"Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.0\n\nName: no\n",
};

const debDigest = digestOf("zlib1g");

function sbomOf(tree: RootfsTree): string {
	return writeSbom({
		tree,
		epoch: 315_532_800,
		rootHash: "ab".repeat(32),
		vouchVersion: "1.2.3",
		debDigests: new Map([["zlib1g 1:1.2.13.dfsg-1 amd64", debDigest]]),
		kernel: { name: "linux", version: "6", url: "pkg:deb/debian/linux@6", digest: digestOf("kernel") },
	});
}

test("packages of dpkg, distroless, apk and Python are found, and what is removed is not", () => {
	assert.deepEqual(
		packagesOf(treeOf(files)).map(({ type, name, version, architecture }) => [type, name, version, architecture]),
		[
			["pypi", "Some_Thing", "1.0", null],
			["deb", "base-files", "12.4", "all"],
			["apk", "busybox", "1.36.1-r5", "x86_64"],
			["apk", "musl", "1.2.4-r2", "x86_64"],
			["deb", "zlib1g", "1:1.2.13.dfsg-1", "amd64"],
		],
	);
});

test("the document has each package with its digest and package URL", () => {
	const document = JSON.parse(sbomOf(treeOf(files)));
	assert.equal(document.spdxVersion, "SPDX-2.3");
	assert.equal(document.creationInfo.created, "1980-01-01T00:00:00Z");
	const zlib = document.packages.find(({ name }: { readonly name: string }) => name === "zlib1g");
	assert.deepEqual(zlib.checksums, [{ algorithm: "SHA256", checksumValue: debDigest.slice("sha256:".length) }]);
	assert.equal(zlib.externalRefs[0].referenceLocator, "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64");
	assert.equal(zlib.supplier, "Organization: Mark Brown (broonie@debian.org)");
	const ids = document.packages.map(({ SPDXID }: { readonly SPDXID: string }) => SPDXID);
	assert.equal(new Set(ids).size, ids.length);
	assert.equal(document.relationships.length, ids.length);
});

test("the order in which a tree was read changes nothing", () => {
	const turned = Object.fromEntries(Object.entries(files).toReversed());
	assert.equal(sbomOf(treeOf(files)), sbomOf(treeOf(turned)));
});

test("another tree is another document", () => {
	const documentNamespace = (tree: RootfsTree) => JSON.parse(sbomOf(tree)).documentNamespace;
	assert.notEqual(documentNamespace(treeOf(files)), documentNamespace(treeOf({})));
});

test("what is written as a status file is read from it", () => {
	const word = fc.stringMatching(/^[a-z0-9][a-z0-9+.~-]{0,20}$/);
	const one = fc.record({ name: word, version: word, architecture: word }, { noNullPrototype: true });
	fc.assert(
		fc.property(fc.array(one), (all) => {
			const text = all
				.map(({ name, version, architecture }) => {
					return `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n`;
				})
				.join("\n");
			const read = parseDpkgStatus(text).map(({ name, version, architecture }) => ({ name, version, architecture }));
			assert.deepEqual(read, all);
		}),
	);
});

test("hostile databases are read without an error, and the document stays JSON with fit ids", () => {
	const piece = fc.oneof(
		fc.constantFrom("Package", "Version", "Status", ":", " ", "\n", "\n\n", "P:", "V:", "F:", "\0", "\ud800", "%"),
		fc.string({ unit: "binary" }),
	);
	fc.assert(
		fc.property(fc.array(piece), (pieces) => {
			const text = pieces.join("");
			parseDpkgStatus(text);
			parseApkInstalled(text);
			const hostile = { "var/lib/dpkg/status": `Package: ${text}\nVersion: ${text}x\n`, "lib/apk/db/installed": text };
			const { packages } = JSON.parse(sbomOf(treeOf(hostile)));
			for (const { SPDXID } of packages) assert.match(SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/);
		}),
	);
});
