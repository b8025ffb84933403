import type { PolicyReading } from "./policy-text.ts";

/** `readPolicy` of policy-text.ts, loaded with its YAML parser when there is a policy to read: most runs have none. */
export async function readPolicy(text: string, source: string): Promise<PolicyReading> {
	const loaded = await import("./policy-text.ts");
	return loaded.readPolicy(text, source);
}
