import type { JournalKeys } from "../journal/index.ts";
import type { IdentityProvider } from "./account/identity-provider.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { CertificateAuthority } from "./enrollment/authority.ts";
import type { DirectiveTokens } from "./http/directive-token.ts";

/** What handlers work with beside the store. Made once by whoever starts a control plane. */
export interface Services {
	readonly tokens: DirectiveTokens;
	readonly blobs: BlobStore;
	readonly authority: CertificateAuthority;
	/** The control planes' own key: decisions, countersignatures, checkpoints; and those before it, whose checkpoints still count. */
	readonly keys: JournalKeys;
	/** Null when people have tokens alone. */
	readonly identityProvider: IdentityProvider | null;
	readonly settings: FleetSettings;
}

export interface FleetSettings {
	/** Path or URL of the WebSocket, as enrolling nodes are told. */
	readonly cableUrl: string;
	/** Versions that nodes are told of; null says nothing. */
	readonly nodeVersions: { readonly latest: string; readonly minimum: string } | null;
	readonly maxLogChunkBytes: number;
	/** How long a node that is not heard of keeps what it was leased. */
	readonly leaseMs: number;
	/** How long a directive waits for an answer of people. */
	readonly approvalWaitMs: number;
}

/** Unless settings say otherwise (conduits section 1.7). */
export const LEASE_MS = 300_000;
export const STANDARD_SETTINGS: FleetSettings = {
	cableUrl: "/cable",
	nodeVersions: null,
	maxLogChunkBytes: 262_144,
	leaseMs: LEASE_MS,
	approvalWaitMs: 7 * 24 * 3_600_000,
};
/** Conduits section 2.3. */
export const MOST_CLAIMS = 5;
export const POLL_SECONDS = 2;
export const HEARTBEAT_SECONDS = 30;
export const HEARTBEAT_WITH_CHANNEL_SECONDS = 300;
export const OFFLINE_AFTER_MS = 300_000;
export const DEFAULT_OUTPUT_BYTES = 2_000_000;
export const DEFAULT_DIFF_BYTES = 1_048_576;
