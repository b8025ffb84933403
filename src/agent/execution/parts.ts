import type { Logger } from "pino";
import type { UpstreamProxy } from "../../egress/index.ts";
import type { PublicKey, Signer } from "../../evidence/index.ts";
import type { ConductParts, RunRecords } from "../../runtime/index.ts";
import type { Facilities } from "./facilities.ts";
import type { ImageSource } from "./images.ts";
import type { LogOverflow } from "./overflow.ts";
import type { DeployKey } from "./preparation.ts";
import type { SecretSource } from "./secrets.ts";

/** What an engine is made of. */
export interface EngineParts extends ConductParts {
	/** Records of live runs, so that a restart finds what a kill left. */
	readonly records: RunRecords;
	readonly facilities: Facilities;
	/** Folders of this machine that facilities may begin as copies of, and those below them. */
	readonly importable: readonly string[];
	readonly territoryId: string;
	/** Signs receipts: the key that this territory enrolled with. */
	signer(): Signer;
	/** Whose decisions count: the key that this node was given, and those that were named from there on; none for a control plane that signs none. */
	controlPlaneKeys(successions: readonly unknown[]): readonly PublicKey[];
	/** Whether directives of profile `host` may run here, without isolation. */
	readonly hostProfile: "accepted" | "refused";
	readonly secrets: SecretSource;
	readonly images: ImageSource;
	/** What repositories are cloned with over ssh; null has nothing. */
	readonly deployKey: DeployKey | null;
	readonly upstreamProxy: UpstreamProxy | null;
	/** Where output beyond the limit is kept in the facility; null keeps it nowhere. */
	readonly logOverflow: LogOverflow | null;
	/** Free disk below which nothing is begun. */
	readonly minimumFreeBytes: number;
	readonly log: Logger;
}
