import { defineFailures } from "../core/index.ts";

/** What can go wrong while images are made, kept and compared, in the words of the person who asked for one. */
export const { table, failure, fail } = defineFailures({
	"image-store-busy": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "Changing the image store {directory}: another process has held its lock for {seconds} s. Try again.",
	},
	"image-store-unusable": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence: "Opening the image store {directory}: {reason}. Mend that, or name another folder.",
	},
	"image-unknown": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "There is no image {reference} in the store. `vouch image ls` lists those that there are.",
	},
	"image-ambiguous": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "The image {reference} could be any of {candidates}. Name one of them.",
	},
	"image-name-invalid": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"{name} can't be the name of an image: {reason}. Use lower-case letters, digits and single . _ - between them.",
	},
	"image-part-wrong": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Adding an image to the store: its {part} {reason}. Nothing was added; make or fetch the image again.",
	},
	"image-damaged": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence: "Reading the image {digest}: {reason}. Run: vouch image verify {digest}",
	},
	"recipe-invalid": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Reading what to build from {source}: {problems} Mend that and build again.",
	},
	"image-tool-missing": {
		audience: "operator",
		retry: "safe",
		status: 500,
		sentence: "{what} needs {program}, which is not installed. Run: apt-get install {package}",
	},
	"image-source-unreadable": {
		audience: "operator",
		retry: "safe",
		status: 422,
		sentence: "Reading {source} to build an image: {reason}. Give this user leave to read it, or leave it out.",
	},
	"image-source-changed": {
		audience: "caller",
		retry: "safe",
		status: 409,
		sentence:
			"Building an image: {source} changed while it was read, or is not what the plan says. Nothing was kept; let whatever writes there end, then build again.",
	},
	"image-lock-invalid": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "The pins in {path} can't be used: {reason}. Mend the file, or remove it and build again for new pins.",
	},
	"image-guest-missing": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"Building an image for {platform}: the program that starts its machine, {path}, is not there and could not be compiled. Run: {fix}",
	},
	"debian-unavailable": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence:
			"Looking up packages of Debian {suite}: {reason}. Check the suite, the package names, the machine's apt sources and its network.",
	},
	"debian-package-gone": {
		audience: "operator",
		retry: "never",
		status: 410,
		sentence:
			"Fetching the pinned Debian package {package}: {reason}. Build with --update for newer ones, or from a snapshot with --snapshot.",
	},
	"debian-package-wrong": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"Fetching the pinned Debian package {package}: what came has another digest than its pin. Nothing of it was kept; check the mirror.",
	},
	"debian-bootstrap-failed": {
		audience: "operator",
		retry: "unknown",
		status: 500,
		sentence: "Installing Debian {suite} into an image: {reason}.",
	},
	"image-not-fetched": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence: "Fetching the image {reference}: {reason}. Check its name, the registry and the login for it.",
	},
	"dockerfile-failed": {
		audience: "caller",
		retry: "unknown",
		status: 422,
		sentence: "Running the Dockerfile of {source}: {reason}. Mend that line and build again.",
	},
	"ids-missing": {
		audience: "operator",
		retry: "never",
		status: 500,
		sentence:
			"{what} needs a range of user ids, and this user has none. Give it one: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER.",
	},
	"dockerfile-impossible": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "The Dockerfile of {source} can't be built here: {reason}.",
	},
});
