/**
 * journal: the append-only Merkle log on disk (C2SP tlog-tiles), and the node key that signs its checkpoints.
 *
 * Hides     tiles, bundles, the lock between processes, the order of writes that makes a crash harmless.
 * Promises  an appended entry is durable and proven when `append` returns; a log that does not fit its checkpoint is never
 *           extended; `verifyJournal` finds the first entry that does not fit.
 * Never     rewrites what a checkpoint covers, follows a symbolic link, or lets a private key out of its file.
 * Start at  `journal.ts`, then `verify-journal.ts`.
 */
export { type Journal, type JournalKeys, openJournal } from "./journal.ts";
export { type KeyStore, openKeyStore, type TrustedKey } from "./node-key.ts";
export { type SuccessionEntry, successorsOf } from "./succession.ts";
export { type JournalFault, type JournalVerdict, verifyJournal } from "./verify-journal.ts";
