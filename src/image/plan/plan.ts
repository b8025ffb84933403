import { type Digest, digestOfJson, type Json } from "../../core/index.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { RootfsFormat } from "../schema.ts";
import type { BuildPlan, SourceInput } from "./schema.ts";

/** Goes up when this code makes other bytes of the same plan, so that nobody takes an old image for a new one. */
export const BUILD_GENERATION = 1;

/** What names meant, by digest. */
export interface PinnedInputs {
	readonly source: SourceInput;
	readonly kernel: BuildPlan["kernel"];
	readonly guest: BuildPlan["guest"];
	readonly vouchVersion: string;
}

/** Pure: the same recipe and inputs give the same plan. */
export function makePlan(recipe: Recipe, inputs: PinnedInputs): BuildPlan {
	const { platform, rootfsFormat: format, epoch, verity } = recipe;
	return {
		schema: "vouch.build-plan/v1",
		platform,
		rootfs: { format, epoch, tool: packingTool(format) },
		verity: { salt: verity.salt, uuid: verity.uuid },
		kernel: inputs.kernel,
		guest: inputs.guest,
		vouch: { version: inputs.vouchVersion, generation: BUILD_GENERATION },
		source: inputs.source,
	};
}

/** What `packRootfs` will say that it packed with; the assembly refuses to go on when it says something else. */
function packingTool(format: RootfsFormat): string | null {
	return format === "squashfs" ? `zstd ${process.versions.zstd}` : null;
}

export function digestOfPlan(plan: BuildPlan): Digest {
	return digestOfJson(plan as unknown as Json);
}
