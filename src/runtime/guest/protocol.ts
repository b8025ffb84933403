/** The numbers of the guest protocol, generation 1: `docs/reference/guest-protocol.md` says what each means. */
export const GENERATION = 1;
export const MAGIC = 0x48435556;
export const HEADER_BYTES = 12;
export const MAX_PAYLOAD_BYTES = 65_536;
export const ENTROPY_BYTES = 64;

export const FRAME_TYPE = {
	ready: 1,
	hello: 2,
	helloOk: 3,
	data: 4,
	credit: 5,
	end: 6,
	reset: 7,
	open: 8,
	signal: 9,
	windowSize: 10,
	exit: 11,
	failed: 12,
	ping: 13,
	pong: 14,
	refusedDatagram: 15,
	powerOff: 16,
	collect: 17,
} as const;

/** Streams that are there from the start; connections come after. */
export const STREAM = { stdin: 1, stdout: 2, stderr: 3, setup: 4, changes: 5, firstConnection: 16 } as const;

/** Credit of the setup stream that needs no grant, so that the host may send at once. */
export const SETUP_CREDIT_BYTES = 65_536;

export const RESET_REASON = { unspecified: 0, refused: 1, gone: 2, discarded: 3 } as const;

export const GUEST_FAILURE = { verity: 1, setup: 2, protocol: 3, execution: 4, internal: 5 } as const;
