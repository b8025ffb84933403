/** Bounds that the host end keeps whatever a guest does. */
export interface GuestTimes {
	/** From the start of the machine to READY. */
	readonly bootMs: number;
	/** Between two signs of life asked for. */
	readonly heartbeatMs: number;
	/** Silence after which a guest counts as stalled. */
	readonly stallMs: number;
	/** From EXIT to the end of the changes. */
	readonly collectMs: number;
	/** After a kill, for the guest to say how its workload ended. */
	readonly killMs: number;
}

/** What a guest may hold of this process's memory by each of its output streams. */
export const OUTPUT_WINDOW_BYTES = 2 ** 20;

/** Frames that carry no data: a guest that sends more is read more slowly. */
export const FRAMES_PER_SECOND = 20_000;

/** Bytes waiting for a guest that does not read, past which it is not read from either. */
export const MOST_UNREAD_BYTES = 2 ** 20;
