/** 1 at each byte that belongs to it. */
export type Alphabet = Uint8Array;

/** Bytes of one alphabet, as many as come. */
export interface Run {
	readonly of: Alphabet;
	readonly least: number;
	readonly most: number;
}

/** Words and runs in their order. The last is a run that may be of any length. */
export type TokenForm = readonly (Buffer | Run)[];

const ALPHANUMERIC = alphabet(/[A-Za-z0-9]/);
const UPPER = alphabet(/[A-Z0-9]/);
const HEX = alphabet(/[0-9a-f]/);
const BASE64_URL = alphabet(/[\w-]/);
const DOTTED = alphabet(/[\w.-]/);
/** base64 in lines, also as a JSON string has them. */
const PEM = alphabet(/[A-Za-z0-9+/=\s\\]/);

const PRIVATE_KEYS = ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "].map((kind) => `${kind}PRIVATE KEY`);

/** What is known for a secret by how it is written, whoever gave it to the command (conduits section 10, secret injection). */
export const TOKEN_FORMS: readonly TokenForm[] = [
	...[...PRIVATE_KEYS, "PGP PRIVATE KEY BLOCK"].map((label) => form(`-----BEGIN ${label}-----`, run(PEM, 48))),
	form("AGE-SECRET-KEY-1", run(UPPER, 58)),
	// A JSON Web Token (RFC 7519): two JSON objects and a signature.
	form("eyJ", run(BASE64_URL, 8, 512), ".eyJ", run(DOTTED, 24)),
	// GitHub, GitLab
	...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map((prefix) => form(prefix, run(ALPHANUMERIC, 36))),
	form("github_pat_", run(BASE64_URL, 36)),
	...["glpat-", "gldt-", "glrt-", "glptt-"].map((prefix) => form(prefix, run(DOTTED, 20))),
	// Amazon, Google
	...["AKIA", "ASIA"].map((prefix) => form(prefix, run(UPPER, 16))),
	form("AIza", run(BASE64_URL, 35)),
	form("ya29.", run(BASE64_URL, 20)),
	form("GOCSPX-", run(BASE64_URL, 28)),
	// Slack, Stripe
	...["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-"].map((prefix) => form(prefix, run(BASE64_URL, 20))),
	...["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"].map((prefix) => form(prefix, run(ALPHANUMERIC, 24))),
	// OpenAI, Anthropic, Hugging Face
	form("sk-", run(ALPHANUMERIC, 20, 20), "T3BlbkFJ", run(ALPHANUMERIC, 20)),
	...["sk-proj-", "sk-svcacct-", "sk-ant-"].map((prefix) => form(prefix, run(BASE64_URL, 24))),
	form("hf_", run(ALPHANUMERIC, 34)),
	// npm, PyPI, SendGrid, DigitalOcean, Shopify, HashiCorp Vault
	form("npm_", run(ALPHANUMERIC, 36)),
	form("pypi-AgEIcHlwaS5vcmc", run(BASE64_URL, 50)),
	form("SG.", run(BASE64_URL, 22, 22), ".", run(BASE64_URL, 43)),
	form("dop_v1_", run(HEX, 64)),
	form("shpat_", run(HEX, 32)),
	form("hvs.", run(BASE64_URL, 24)),
	// Ours
	form("vouch_", run(BASE64_URL, 43)),
];

/** The members of a class of characters, which has no others than of Latin-1. */
export function alphabet(members: RegExp): Alphabet {
	return Uint8Array.from({ length: 256 }, (_, byte) => (members.test(String.fromCharCode(byte)) ? 1 : 0));
}

/** What a run takes it never gives back: no more than `most`, and nothing that the next word begins with. */
export function run(of: Alphabet, least: number, most = Number.POSITIVE_INFINITY): Run {
	return { of, least, most };
}

export function form(...steps: readonly (string | Run)[]): TokenForm {
	return steps.map((step) => (typeof step === "string" ? Buffer.from(step) : step));
}

/** Where the bytes of an alphabet end that begin at `at`, but no later than `most`. */
export function runEnd(of: Alphabet, bytes: Buffer, at: number, most = bytes.length): number {
	const last = Math.min(most, bytes.length);
	let end = at;
	while (end < last && of[bytes[end] ?? 0] === 1) end += 1;
	return end;
}
