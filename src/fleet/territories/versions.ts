import { isOlder } from "../../api/index.ts";
import type { Services } from "../services.ts";

/** What a node is told of versions (conduits section 2.3.2): nothing, unless settings name some. */
export function versionsFor(version: string | null | undefined, { settings: { nodeVersions } }: Services) {
	if (nodeVersions === null) return {};
	return {
		upgrade_available: typeof version === "string" && isOlder(version, nodeVersions.latest),
		latest_version: nodeVersions.latest,
		min_compatible_version: nodeVersions.minimum,
	};
}

/** Whether a node is older than those that this control plane is made for: it is leased nothing. One that says no version is taken as it is. */
export function isTooOld(version: string | null, { settings: { nodeVersions } }: Services): boolean {
	return nodeVersions !== null && version !== null && isOlder(version, nodeVersions.minimum);
}
