/**
 * core: the words every other folder shares. A closed list: bytes, digests, canonical JSON, failures, ids, units, clock, and which
 * files a run hands over.
 *
 * Hides     the exact text forms (hex, base64, RFC 8785 JSON, UUIDv7) and their strict parsers.
 * Promises  pure and total: no I/O but the system clock and random source behind `Clock` and `newId`.
 * Never     imports another folder, and never grows by a thing that only one folder needs.
 * Start at  `canonical-json.ts`: plans and receipts are named by the digest of its output.
 */
export { artifactMatcher, artifactNameSchema, artifactPatternSchema } from "./artifacts.ts";
export { bytesFromBase64, bytesFromHex, concatBytes, equalBytes, toBase64, utf8 } from "./bytes.ts";
export { canonicalJson, type Json, parseCanonicalJson, parseJsonStrict } from "./canonical-json.ts";
export { type Clock, systemClock } from "./clock.ts";
export { type Digest, digestOf, digestOfJson, digestSchema, hexOfDigest, sha256 } from "./digest.ts";
export {
	type Audience,
	defineFailures,
	describeFailure,
	type Failure,
	type FailureRow,
	type NonEmpty,
	type Retry,
	VouchError,
} from "./failure.ts";
export { formWords } from "./form-words.ts";
export { idSchema, newId, type RunId, runIdSchema } from "./ids.ts";
export { reasonOf } from "./reason.ts";
export { formatBytes, formatDurationMs, parseByteSize, parseDurationMs } from "./units.ts";
