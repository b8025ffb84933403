/**
 * verify: what an image says of itself, checked claim by claim against its bytes.
 *
 * Hides     the checklist, and which document names what.
 * Promises  every byte of every part is read; each claim is reported, also after one that does not hold.
 * Never     changes the store, and never believes a digest that it did not compute.
 * Start at  `verify-image.ts`, which reads as the checklist.
 */
export { type ImageClaim, type ImageVerdict, verifyImage } from "./verify-image.ts";
