import { defineFailures } from "../core/index.ts";

export const {
	table: evidenceFailures,
	failure,
	fail,
} = defineFailures({
	"receipt-not-json": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading the receipt: it is not a JSON text in UTF-8 ({why}). Check that the file is whole and is a receipt.",
	},
	"receipt-not-a-receipt": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Reading the receipt: {member} {why}. Check that the file is a Vouch receipt of version 1.",
	},
	"receipt-too-large": {
		audience: "caller",
		retry: "never",
		status: 413,
		sentence: "Reading the receipt: it has {bytes} bytes and at most {limit} are read.",
	},
	"statement-malformed": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "Making the statement of run {run}: {member} {why}. No receipt was signed.",
	},
	"claim-does-not-hold": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Verifying the receipt, {claim}: {detail}.",
	},
	"key-unreadable": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading a public key: {why}. Give vouch-ed25519:BASE64 as `vouch key show` prints it, or an Ed25519 key in PEM.",
	},
	"key-not-ed25519": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Taking a signing key: it is of kind {kind} and must be Ed25519.",
	},
	"note-name": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "Signing a note: the key name {name} is empty or has a space, plus sign or control character.",
	},
	"note-text": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "Signing a note: its text must end in a newline and have no other control character.",
	},
	"merkle-range": {
		audience: "bug",
		retry: "never",
		status: 500,
		sentence: "Proving in a tree of {size} leaves: {asked} is outside of it.",
	},
});
