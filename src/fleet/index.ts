/**
 * fleet: the control plane. It leases directives to territories, under policy, approval and audit, and loses nothing.
 *
 * Hides     the store and its two databases, scheduling, the node protocol's state machines, tokens, certificates, WebSockets.
 * Promises  a directive that was acknowledged ends exactly once in the record; nobody gets more than a decision allowed; what
 *           happened is noted in the transaction in which it happens. Any number of control planes share one PostgreSQL store.
 * Never     touches a machine: no process, no mount, no socket but its own listener. Never keeps a secret in the database.
 * Start at  `control-plane.ts`, who handles what; `store/queue.ts`, the queue; `directives/poll.ts`, the lease.
 */

export { issueApiToken, newApiToken } from "./account/api-tokens.ts";
export { IdentityProvider } from "./account/identity-provider.ts";
export { type BlobStore, DirectoryBlobs } from "./blobs/blob-store.ts";
export { S3Blobs } from "./blobs/s3-blobs.ts";
export { type ControlPlane, type ControlPlaneParts, createControlPlane } from "./control-plane.ts";
export { CertificateAuthority } from "./enrollment/authority.ts";
export { privateFile } from "./enrollment/private-file.ts";
export { newSecret } from "./enrollment/tokens.ts";
export { type AuthSettings, type TerritoryAuthMode, tokenDigestOf } from "./http/authenticate.ts";
export { DirectiveTokens } from "./http/directive-token.ts";
export type { OwnRequest } from "./http/requests.ts";
export { append as appendToJournal, checkJournal } from "./journal/journal.ts";
export { type FleetSettings, LEASE_MS, type Services, STANDARD_SETTINGS } from "./services.ts";
export { type BackupContents, backupStore, restoreStore } from "./store/backup.ts";
export { openStore } from "./store/open.ts";
// Rows for tests, of other folders too.
export { addFacility, addOwner, addTerritory, directiveRow, type Owner } from "./store/sample-rows.ts";
export type { Store } from "./store/store.ts";
