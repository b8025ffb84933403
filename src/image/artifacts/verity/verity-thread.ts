/** Entry point of a hashing thread: takes groups until none is left, then sends all that it found wrong. */
import { parentPort, workerData } from "node:worker_threads";
import { takeGroups } from "./crew.ts";
import type { Work } from "./groups.ts";

parentPort?.postMessage([...takeGroups(workerData as Work)].flat());
