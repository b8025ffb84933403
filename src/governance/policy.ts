import type { Digest } from "../core/index.ts";
import type { NetworkRules } from "../egress/schema.ts";
import type { DriverName, Limits } from "../runtime/schema.ts";
import type { DestinationSet } from "./destinations.ts";
import type { Lists, PolicyDocument } from "./schema.ts";

/** A policy that was read and is right in every part. */
export interface Policy {
	/** Where it came from, for people: a path. */
	readonly source: string;
	/** Of its canonical JSON: comments and layout do not change it. */
	readonly digest: Digest;
	readonly rules: PolicyRules;
}

/** Each section that the document has, ready to judge by. A section that is not there says nothing. */
export interface PolicyRules {
	readonly isolation: Lists<DriverName>;
	readonly destinations: Lists<DestinationSet>;
	readonly modes: readonly NetworkRules["mode"][] | undefined;
	readonly write: Lists<string>;
	readonly read: Lists<string>;
	readonly commands: Lists<string>;
	readonly maximum: Partial<Limits>;
	readonly standard: Partial<Limits>;
	readonly approval: NonNullable<PolicyDocument["approval"]>;
}
