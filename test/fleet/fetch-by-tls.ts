import { request } from "node:https";

interface TlsRequest {
	readonly method: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string | Uint8Array<ArrayBuffer> | undefined;
	readonly ca: string;
	readonly cert?: string;
	readonly key?: string;
}

/** What `fetch` can't: a request with a client certificate, HTTP/1.1, to a server known by its own one. */
export function fetchByTls(url: string, { body, ...options }: TlsRequest): Promise<Response> {
	return new Promise((resolve, reject) => {
		const asked = request(url, { ...options, agent: false, timeout: 20_000 }, (answer) => {
			const parts: Buffer[] = [];
			answer.on("data", (part: Buffer) => parts.push(part));
			answer.once("error", reject);
			answer.once("end", () => {
				const headers = new Headers();
				for (const [name, value] of Object.entries(answer.headersDistinct))
					for (const each of value ?? []) headers.append(name, each);
				resolve(new Response(Buffer.concat(parts), { status: answer.statusCode ?? 0, headers }));
			});
		});
		asked.once("timeout", () => asked.destroy(new Error("no answer")));
		asked.once("error", reject);
		asked.end(body);
	});
}
