/**
 * seccomp: which system calls a workload may not make, and with which arguments.
 *
 * Hides     BPF encoding, the 8-bit jumps, libseccomp's missing "or".
 * Promises  one table; the BPF program for bwrap and the OCI profile for crun refuse exactly its rows, on low 32 bits.
 * Never     a filter by weakening: an architecture without a table gets none, and the driver's plan is Unmet.
 * Start at  `table.ts`.
 */
export { probeArchitecture } from "./architecture.ts";
export { type OciSeccomp, ociSeccomp } from "./oci.ts";
export { seccompProgram } from "./program.ts";
export { type Architecture, SYSCALL_TABLE } from "./table.ts";
