/** The long steps of a build, in their order. */
export type BuildStep = "inputs" | "source" | "pack" | "verity" | "boot" | "store";

export interface BuildProgress {
	readonly step: BuildStep;
	/** What is being done, for a person: "installing 101 packages of Debian bookworm". */
	readonly what: string;
	readonly doneBytes?: number;
	readonly totalBytes?: number;
	/** A line that a program of the build said. It may hold anything. */
	readonly line?: string;
}

export type OnProgress = (event: BuildProgress) => void;
