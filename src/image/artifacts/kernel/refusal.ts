/** Why a file of a package can't be used: part of a sentence. `unpack.ts` says of which package. */
export class KernelRefusal extends Error {}
