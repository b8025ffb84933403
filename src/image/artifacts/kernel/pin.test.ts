import assert from "node:assert/strict";
import test from "node:test";
import { digestOf } from "../../../core/index.ts";
import { type KernelPin, kernelPinSchema, packageUrlOf } from "./index.ts";

const pin: KernelPin = {
	package: "linux-image-6.12.107+deb13-riscv64",
	version: "1:6.12.107-1~x",
	architecture: "riscv64",
	suite: "trixie",
	debDigest: digestOf("deb"),
	sizeBytes: 1,
	archive: "debian",
	path: "pool/main/l/linux/linux-image-6.12.107+deb13-riscv64_6.12.107-1_riscv64.deb",
};

test("a pin is data, and its package URL says what it is", () => {
	assert.deepEqual(kernelPinSchema.parse(JSON.parse(JSON.stringify(pin))), pin);
	assert.equal(
		packageUrlOf(pin),
		"pkg:deb/debian/linux-image-6.12.107%2Bdeb13-riscv64@1%3A6.12.107-1~x?arch=riscv64&distro=trixie",
	);
});

test("a pin that leads out of the archive, or into another line of a file, is none", () => {
	const wrong: readonly Partial<Record<keyof KernelPin, unknown>>[] = [
		...["pool/../etc/x.deb", "/pool/x.deb", "pool//x.deb", "pool/x", "pool/a b.deb", "pool/x.deb\n", "dists/x.deb"].map(
			(path) => ({ path }),
		),
		...["Trixie", "trixie main", "-x", "tr\nixie", ""].map((suite) => ({ suite })),
		...["a", "../x", "A-b", "-o"].map((name) => ({ package: name })),
		{ version: "x" },
		{ sizeBytes: 0 },
		{ architecture: "i386" },
		{ archive: "elsewhere" },
		{ debDigest: "md5:0" },
	];
	for (const change of wrong) {
		assert.equal(kernelPinSchema.safeParse({ ...pin, ...change }).success, false, JSON.stringify(change));
	}
});
