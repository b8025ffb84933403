import type { Failure } from "../../core/index.ts";
import type { ImageManifest } from "../../image/schema.ts";
import { failures } from "../failures.ts";
import type { DriverName } from "../schema.ts";
import { GENERATION } from "./protocol.ts";

/** An image holds the guest that it was built with: one that is older than what is said to it is not booted. */
export function oldGuest(driver: DriverName, { reference }: ImageManifest): readonly Failure[] {
	const { guestGeneration } = reference;
	if (guestGeneration >= GENERATION) return [];
	const reason = `the image's guest speaks generation ${guestGeneration} of its protocol, and this Vouch ${GENERATION}`;
	const fix = "Build the image again, or run it with the Vouch that built it.";
	return [failures.failure("driver-not-available", { driver, reason, fix })];
}
