/** SIGINT and SIGTERM as they come, one for each `next`; a third one ends the process by itself. */
export function requestsToEnd(): { next(): Promise<NodeJS.Signals> } {
	const waiting: ((signal: NodeJS.Signals) => void)[] = [];
	const heard: NodeJS.Signals[] = [];
	let count = 0;
	for (const name of ["SIGINT", "SIGTERM"] as const) {
		process.on(name, () => {
			count += 1;
			if (count > 2) process.exit(130);
			const next = waiting.shift();
			if (next === undefined) heard.push(name);
			else next(name);
		});
	}
	return {
		next: () => {
			const first = heard.shift();
			return first === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(first);
		},
	};
}
