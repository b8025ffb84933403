/**
 * plan: what exactly an image is made from, before anything is made.
 *
 * Hides     how folders, files and layouts are named by digests, what was looked up before, and where that is remembered.
 * Promises  the same inputs give the same plan on every machine, whatever the folder, user, umask or clock.
 * Never     makes anything, and never takes a changed input for an unchanged one.
 * Start at  `schema.ts`, the plan; then `pinning.ts`.
 */
export { contextFolder, type StagedEntry } from "./folder-input.ts";
export { keepPins, openPinBook, PinBook, type PinMode, writeLock } from "./pin-book.ts";
export { planRecipe } from "./pinning.ts";
export { BUILD_GENERATION, digestOfPlan, makePlan, type PinnedInputs } from "./plan.ts";
