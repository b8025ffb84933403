/**
 * scratch: folders of work in progress that a crash can't leave behind for ever, and the lock that they rest on.
 */
export { type HeldLock, tryLock, waitForLock } from "./lock.ts";
export { openScratch, removeTree, type Scratch, sweepScratch } from "./scratch.ts";
