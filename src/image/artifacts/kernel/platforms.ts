import type { Platform, RootfsFormat } from "../../schema.ts";
import type { KernelPin } from "./pin.ts";

interface PlatformFacts {
	readonly architecture: KernelPin["architecture"];
	/** Debian's package that always depends on its newest kernel. */
	readonly metapackage: string;
	readonly suite: string;
	/** The serial console of the machines that boot it. */
	readonly console: string;
	/** Words of the command line besides those that all platforms have. */
	readonly words: readonly string[];
	/** Of the kernel in the package: `/boot/NAME-RELEASE`. */
	readonly image: "vmlinuz" | "vmlinux";
	/**
	 * What the kernel's file is: a bzImage is unwrapped, so that no guest unpacks it at each boot. An Image is taken as it is, told
	 * by what stands at 0x38 of it (Documentation/arch/arm64/booting.rst, riscv/boot-image-header.rst).
	 */
	readonly form: "bzimage" | { readonly magic: string };
}

export const PLATFORMS: Readonly<Record<Platform, PlatformFacts>> = {
	"linux/amd64": {
		architecture: "amd64",
		metapackage: "linux-image-cloud-amd64",
		suite: "bookworm",
		console: "ttyS0",
		// A guest has one CPU or knows better: without it the kernel patches itself back to one CPU and then again.
		words: ["noreplace-smp"],
		image: "vmlinuz",
		form: "bzimage",
	},
	"linux/arm64": {
		architecture: "arm64",
		metapackage: "linux-image-cloud-arm64",
		suite: "bookworm",
		console: "ttyAMA0",
		words: [],
		image: "vmlinuz",
		form: { magic: "ARM\x64" },
	},
	"linux/riscv64": {
		architecture: "riscv64",
		metapackage: "linux-image-riscv64",
		// Debian's first release for it.
		suite: "trixie",
		console: "ttyS0",
		words: [],
		image: "vmlinux",
		form: { magic: "RSC\x05" },
	},
};

/**
 * What a guest needs of its kernel, in the order that it is best loaded in; what is built in is left out, and what these
 * depend on comes before them. ext4 is that of the scratch disk.
 */
export function modulesFor(format: RootfsFormat): readonly string[] {
	const root = format === "erofs" ? ["erofs"] : ["erofs", "squashfs"];
	return [
		"virtio_mmio",
		"virtio_pci",
		"virtio_blk",
		"virtio_console",
		"virtio_rng",
		"dm_verity",
		...root,
		"overlay",
		"ext4",
		"vsock",
		"vmw_vsock_virtio_transport",
	];
}
