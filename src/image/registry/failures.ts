import { defineFailures } from "../../core/index.ts";

/** What can go wrong between this machine and a registry. */
export const { table, failure, fail } = defineFailures({
	"registry-reference-invalid": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading the registry reference {reference}: {reason}. Write it as registry.example.org/team/app:1.0 or 127.0.0.1:5000/app:1.0.",
	},
	"registry-unreachable": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"{doing} at {registry}: {reason}. It was tried {tries} times. What was transferred so far is kept: run the same command again.",
	},
	"registry-login-needed": {
		audience: "caller",
		retry: "never",
		status: 401,
		sentence:
			"{doing} at {registry}: {reason}. Run `skopeo login {registry}` (or podman, docker login): Vouch reads the file that it writes.",
	},
	"registry-forbidden": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence:
			"{doing} at {registry}: it does not let this login do that{said}. Ask whoever runs it, or log in as another user.",
	},
	"registry-image-unknown": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "{doing} at {registry}: it has nothing by that name{said}. Check the reference.",
	},
	"registry-refused": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "{doing} at {registry}: it answered {status}{said}. Its log may say more.",
	},
	"registry-answer-wrong": {
		audience: "operator",
		retry: "never",
		status: 502,
		sentence:
			"{doing} at {registry}: its answer is not one that a registry gives: {reason}. Nothing was taken from it.",
	},
	"registry-content-wrong": {
		audience: "operator",
		retry: "safe",
		status: 502,
		sentence:
			"{doing} at {registry}: {what} is not what its digest names: {reason}. It was thrown away. Something between here and there changes bytes, or the registry is not honest.",
	},
	"registry-image-unexpected": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "Pulling {reference}: it is the image {found}, not {expected}. Nothing was fetched but its description.",
	},
	"registry-no-space": {
		audience: "operator",
		retry: "never",
		status: 507,
		sentence:
			"Pulling an image: it needs {needed} while it comes, and there is {have} at {directory}. Make room first.",
	},
	"registry-platform-missing": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "Pulling {reference}: it has no image for {platform}. It has: {known}.",
	},
});
