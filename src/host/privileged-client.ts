import { connect } from "node:net";

/** What the privileged helper does; the whole of it (`privileged/calls.c`). */
export type PrivilegedCall = "status" | "delegate-control-group" | "remove-control-group";

const PATIENCE_MS = 10_000;
const LONGEST_ANSWER = 1024;

/** Asks the helper. Rejects when it can't be reached or refuses, with its own words. */
export function askPrivileged(socketPath: string, call: PrivilegedCall): Promise<string> {
	return new Promise((resolve, reject) => {
		let answer = "";
		const socket = connect(socketPath);
		const fail = (problem: string): void => {
			socket.destroy();
			reject(new Error(problem));
		};
		socket.setTimeout(PATIENCE_MS, () => fail("the helper does not answer"));
		socket.setEncoding("utf8");
		socket.on("error", (error) => fail(error.message));
		socket.on("data", (chunk: string) => {
			answer += chunk;
			if (answer.length > LONGEST_ANSWER) fail("the helper's answer is too long");
		});
		socket.on("close", () => {
			const read = /^(ok|refused) ([^\n]*)\n$/.exec(answer);
			if (read?.[1] === "ok") resolve(read[2] ?? "");
			else reject(new Error(read?.[2] ?? "the helper gave no answer"));
		});
		socket.end(`${call}\n`);
	});
}
