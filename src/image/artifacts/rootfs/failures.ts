import { defineFailures } from "../../../core/index.ts";

/** What can be wrong with the source of a root file system, or go wrong while it is packed. */
export const { table, fail } = defineFailures({
	"rootfs-missing": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading a root file system from {source}: {reason}. Name a folder, a tar file, an OCI layout or a docker-archive.",
	},
	"rootfs-refused": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading a root file system from {source}: {entry} was refused: {reason}. Nothing of it was kept; mend the source or take another.",
	},
	"rootfs-changed": {
		audience: "caller",
		retry: "safe",
		status: 409,
		sentence:
			"Packing a root file system: {source} changed while it was read. Let whatever writes there end, then try again.",
	},
	"rootfs-unreadable": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "Reading a root file system from {source}: {reason}. Give this user leave to read it, or mend the disk.",
	},
	"rootfs-unpackable": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Packing a root file system as {format}: {entry} can't be in it: {reason}. Remove it, or choose another format.",
	},
	"rootfs-program-missing": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "Reading a root file system needs {program}, which is not installed. Run: apt-get install {package}",
	},
});
