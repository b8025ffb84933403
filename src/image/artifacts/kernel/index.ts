/**
 * kernel: Debian's kernel for a virtual machine: pinned by the digest that a signed index names, fetched, taken apart.
 *
 * Hides     apt, Debian packages, the forms that kernels and modules come in, which modules a machine needs and in what order.
 * Promises  the same pin gives the same kernel and modules everywhere; once fetched, nothing needs the network again.
 * Never     touches the machine's own apt state, runs anything of a package, or takes one whose digest differs from its pin.
 * Start at  `platforms.ts`, what a machine needs; then `pinning.ts`, `fetch.ts` and `unpack.ts`.
 */
export { commandLineFor } from "./command-line.ts";
export { type FetchOptions, fetchKernel } from "./fetch.ts";
export { type KernelPin, kernelPinSchema, packageUrlOf } from "./pin.ts";
export { type PinOptions, pinKernel } from "./pinning.ts";
export { type Kernel, type KernelModule, type UnpackOptions, unpackKernel } from "./unpack.ts";
