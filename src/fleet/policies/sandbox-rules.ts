import { z } from "zod";
import type { Json } from "../../core/index.ts";
import type { Asked } from "./resolve.ts";

/** Our keys of `sandbox_profile_rules`, each of which may be missing. Existing policies have none of them. */
const rulesSchema = z.object({
	/** How many must approve what needs approval. */
	required_approvals: z
		.int()
		.transform((count) => Math.min(Math.max(count, 1), MOST_REVIEWERS))
		.catch(1),
	/** The only profiles that may be asked for. */
	allowed_profiles: z.array(z.string()).optional(),
	/** The only images that may be asked for, by digest: a name alone is nobody's promise. */
	allowed_images: z.array(z.string()).optional(),
});
const MOST_REVIEWERS = 10;

/** Different people who must say yes to what needs one. */
export function reviewersOf(rules: Json): number {
	return read(rules).required_approvals;
}

/** Why the profile and the image that were asked for are refused; empty when they are not. A list that can't be read allows nothing. */
export function sandboxRefusals({ profile, image }: Pick<Asked, "profile" | "image">, rules: Json): readonly string[] {
	const { allowed_profiles: profiles, allowed_images: images } = read(rules);
	return [
		...(profiles?.includes(profile) === false ? [`no policy allows the sandbox profile ${profile}`] : []),
		...(image && images?.includes(image.digest) === false ? [`no policy allows the image ${image.digest}`] : []),
	];
}

function read(rules: Json): z.infer<typeof rulesSchema> {
	const given = rulesSchema.safeParse(
		typeof rules === "object" && rules !== null && !Array.isArray(rules) ? rules : {},
	);
	return given.data ?? { required_approvals: 1, allowed_profiles: [], allowed_images: [] };
}
