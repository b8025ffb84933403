import { defineFailures } from "../../core/index.ts";

/** What can keep two images from being compared, or one from being built again. */
export const { table, failure, fail } = defineFailures({
	"image-disk-unreadable": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence: "Reading the disk of the image {digest}: {reason}. Run: vouch image verify {digest}",
	},
	"image-reader-missing": {
		audience: "operator",
		retry: "never",
		status: 501,
		sentence:
			"Reading the files of a squashfs disk: unsquashfs is not installed. Run `apt-get install -y squashfs-tools`, then try again.",
	},
	"image-recipe-unknown": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence:
			"Building the image {digest} again: it was made from {source}, and this machine does not know where that is. Name it with --source.",
	},
	"image-provenance-unreadable": {
		audience: "operator",
		retry: "never",
		status: 422,
		sentence:
			"Building the image {digest} again: its provenance is not one that this Vouch knows. Run: vouch image verify {digest}",
	},
});
