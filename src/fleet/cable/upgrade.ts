import type { IncomingMessage } from "node:http";
import type { Authentication } from "../http/authenticate.ts";
import { clientCertificateOf } from "../http/client-certificate.ts";

/** What a request for a WebSocket shows of itself. */
export type Credential = Parameters<Authentication["territory"]>[0];

/** Taken apart by hand: not every target that a client can send is a URL. */
export function targetOf({ url = "" }: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
	const [path = "", ...query] = url.split("?");
	return { path, query: new URLSearchParams(query.join("?")) };
}

/** The certificate or the proxy's header; the query's `territory_id` only where headers may say so too. */
export function credentialOf(request: IncomingMessage): Credential {
	const asked = targetOf(request).query.get("territory_id");
	const headers = asked === null ? request.headers : { "x-nexus-territory-id": asked, ...request.headers };
	const { socket } = request;
	const what = "Connecting by WebSocket";
	return { headers, clientCertificate: clientCertificateOf(socket), peer: socket.remoteAddress ?? "", what };
}
