/** What happens on a node, for metrics. */
export type NodeEvent =
	| { readonly kind: "poll"; readonly result: "ok" | "empty" | "error" }
	/** A directive's, not the territory's. */
	| { readonly kind: "heartbeat-error" }
	| {
			readonly kind: "directive";
			/** As it was reported, or what became of a lease of which nothing was. */
			readonly status: string;
			readonly profile: string;
			/** Empty when nothing ran. */
			readonly driver: string;
			readonly seconds: number;
	  };
