import { spawnSync } from "node:child_process";
import type { WriteStream } from "node:tty";
import type { WindowSize } from "../../host/index.ts";
import type { WindowSizes } from "../../runtime/index.ts";

/** The size of the terminal that this process writes to; undefined when it writes to none. */
export function windowSize(): WindowSize | undefined {
	const [columns, rows] = shown()?.getWindowSize() ?? [];
	return rows === undefined || columns === undefined || rows === 0 || columns === 0 ? undefined : { rows, columns };
}

/** The size now, and whenever it changes. */
export const windowSizes: WindowSizes = (take) => {
	const target = shown();
	const tell = (): void => {
		const size = windowSize();
		if (size !== undefined) take(size);
	};
	tell();
	target?.on("resize", tell);
	return () => target?.off("resize", tell);
};

function shown(): WriteStream | undefined {
	return [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
}

/** Keys go to the command as they are, and what it shows comes as it is. Node puts all back if this process ends before. */
export function rawTerminal(): Disposable {
	const { stdin } = process;
	if (!stdin.isTTY) return { [Symbol.dispose]() {} };
	stdin.setRawMode(true);
	// What Node leaves on: a line feed would go to the beginning of the line too.
	spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
	return {
		[Symbol.dispose]() {
			stdin.setRawMode(false);
		},
	};
}
