/** Bounds of a conversation with a registry. Sizes are bytes, times milliseconds; tests hand in shorter times. */
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20;
export const MAX_ERROR_BYTES = 64 * 2 ** 10;
export const MAX_TOKEN_BYTES = 64 * 2 ** 10;
export const MAX_REDIRECTS = 5;
/** Blobs in the air at once: enough to fill a line whose round trip is long, few enough for the memory of their pieces. */
export const LANES = 3;

export interface Patience {
	/** Without a byte for this long a connection counts as lost. */
	readonly stallMs: number;
	/** Slower than this on the average of `stallMs` counts as lost too: a registry may not hold us for ever. */
	readonly slowestBytesPerSecond: number;
	/** Tries in a row that get nowhere. */
	readonly tries: number;
	/** Wait before the second try; doubled each time, up to `longestPauseMs`. */
	readonly pauseMs: number;
	readonly longestPauseMs: number;
}

export const PATIENCE: Patience = {
	stallMs: 30_000,
	slowestBytesPerSecond: 1024,
	tries: 6,
	pauseMs: 250,
	longestPauseMs: 8_000,
};

/** So many bytes gained are worth a fresh count of tries. */
export const WORTH_A_TRY_BYTES = 256 * 2 ** 10;
