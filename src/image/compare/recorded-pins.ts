import { PinBook } from "../plan/index.ts";
import { hubName } from "../plan/pinning.ts";
import type { BuildPlan, ContextInput, DebianInput, Pin } from "../plan/schema.ts";
import type { Recipe, RecipeSource } from "../recipe/schema.ts";

/** Names mean what a recorded plan says that they meant. Only what it does not know is looked up. */
export class RecordedPins extends PinBook {
	readonly #plan: BuildPlan;

	constructor(plan: BuildPlan) {
		super({});
		this.#plan = plan;
	}

	override async pin<Kind extends Pin["kind"]>(
		kind: Kind,
		key: string,
		lookUp: () => Promise<Extract<Pin, { kind: Kind }>>,
	): Promise<Extract<Pin, { kind: Kind }>> {
		const recorded = this.#recorded(kind, key);
		return recorded === undefined ? super.pin(kind, key, lookUp) : (recorded as Extract<Pin, { kind: Kind }>);
	}

	#recorded(kind: Pin["kind"], key: string): Pin | undefined {
		switch (kind) {
			case "kernel":
				return { kind, kernel: this.#plan.kernel };
			case "debian": {
				const packages = this.#inputs().find((input) => input.kind === "debian" && isAskedBy(input, key));
				return packages?.kind === "debian" ? { kind, packages: packages.packages } : undefined;
			}
			case "image": {
				const manifestDigest = this.#imageOf(key.split(" ")[0] ?? "");
				return manifestDigest === undefined ? undefined : { kind, manifestDigest };
			}
		}
	}

	#inputs(): readonly ContextInput[] {
		const { source } = this.#plan;
		return source.kind === "dockerfile" ? Object.values(source.contexts) : [source];
	}

	#imageOf(reference: string) {
		const { source } = this.#plan;
		const named = source.kind === "dockerfile" ? Object.entries(source.images) : [];
		const image = named.find(([name]) => hubName(name) === reference)?.[1];
		const registry = this.#inputs().find((input) => input.kind === "registry" && input.reference === reference);
		return image ?? (registry?.kind === "registry" ? registry.manifestDigest : undefined);
	}
}

/** A key is made of suite, architecture, components, packages and moment, see `plan/pinning.ts`. */
function isAskedBy({ suite, components, requested }: DebianInput, key: string): boolean {
	const [keySuite, , keyComponents, keyPackages] = key.split(" ");
	return keySuite === suite && keyComponents === components.join(",") && keyPackages === requested.join(",");
}

/** Of sources that are no folder or file of some machine, the plan says all. */
export function recipeOfPlan(plan: BuildPlan): Recipe | undefined {
	const source = sourceOf(plan);
	if (source === undefined) return undefined;
	return {
		schema: "vouch.recipe/v1",
		name: null,
		platform: plan.platform,
		rootfsFormat: plan.rootfs.format,
		epoch: plan.rootfs.epoch,
		verity: plan.verity,
		kernel: { suite: null, snapshot: null },
		source,
		lockFile: null,
	};
}

function sourceOf({ source }: BuildPlan): RecipeSource | undefined {
	if (source.kind === "debian") {
		const { suite, requested, components } = source;
		return { kind: "debian", suite, packages: requested, components, snapshot: null };
	}
	if (source.kind === "registry" && source.reference !== null) return { kind: "registry", reference: source.reference };
	return undefined;
}
