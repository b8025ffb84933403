import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "../../api/index.ts";
import { fail } from "../failures.ts";

const PATH = "/signed-in";
const MINUTES = 10;
const PAGE = "<!doctype html><title>Vouch</title><p>You can close this window and go back to the terminal.</p>";

/** Signs in with the identity provider of a control plane; answers the token that it gives. The browser comes back to this program. */
export async function signIn(server: string): Promise<string> {
	const { signIn: ask } = connect({ server });
	await using listener = await listen();
	const redirect_uri = `http://127.0.0.1:${listener.port}${PATH}`;
	const { authorization_url, sign_in } = await ask.begin({ body: { redirect_uri } });
	process.stderr.write(`Open this in a browser on this machine:\n\n  ${authorization_url}\n\n`);
	const came_back_to = await listener.cameBack;
	const { token } = await ask.finish({ body: { sign_in, came_back_to } });
	return token;
}

/** Listens on this machine alone for the browser that comes back, for a while (RFC 8252, section 7.3). */
async function listen(): Promise<AsyncDisposable & { readonly port: number; readonly cameBack: Promise<string> }> {
	const { promise: cameBack, resolve, reject } = Promise.withResolvers<string>();
	const http = createServer((request, response) => {
		const isIt = request.method === "GET" && request.url?.startsWith(`${PATH}?`) === true;
		response.writeHead(isIt ? 200 : 404, { "content-type": "text/html", connection: "close" });
		response.end(isIt ? PAGE : "");
		if (isIt) response.once("close", () => resolve(`http://127.0.0.1:${port}${request.url}`));
	});
	await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));
	const { port } = http.address() as AddressInfo;
	const problem = `Nobody came back from the identity provider in ${MINUTES} minutes. Begin again.`;
	const timer = setTimeout(() => reject(fail("cli.usage", { problem })), MINUTES * 60_000);
	return {
		port,
		cameBack,
		[Symbol.asyncDispose]: async () => {
			clearTimeout(timer);
			http.closeAllConnections();
			http.close();
		},
	};
}
