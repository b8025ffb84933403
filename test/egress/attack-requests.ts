import {
	type Attack,
	connectTo,
	getPath,
	good,
	inTunnel,
	NAME,
	PAYLOAD,
	paths,
	request,
	smuggled,
	socks,
	socksName,
	toProxy,
} from "./attack-scene.ts";
import { clientHello, talk } from "./gate-fixture.ts";

export const requestAttacks: readonly Attack[] = [
	// Smuggling.
	{
		name: "CONNECT with a body",
		act: connectTo(good, PAYLOAD, "Content-Length: 11\r\n"),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "Content-Length and Transfer-Encoding",
		act: toProxy((scene) =>
			request(scene, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled(scene)}`),
		),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "two Content-Lengths",
		act: toProxy((scene) => request(scene, "Content-Length: 5\r\nContent-Length: 0\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "Content-Length list",
		act: toProxy((scene) => request(scene, "Content-Length: 5, 5\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "signed Content-Length",
		act: toProxy((scene) => request(scene, "Content-Length: +5\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "obfuscated Transfer-Encoding",
		act: toProxy((scene) => request(scene, "Transfer-Encoding: xchunked\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "Transfer-Encoding list",
		act: toProxy((scene) => request(scene, "Transfer-Encoding: chunked, identity\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "space before the colon",
		act: toProxy((scene) => request(scene, "Transfer-Encoding : chunked\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "folded header",
		act: toProxy((scene) => request(scene, "X: a\r\n Transfer-Encoding: chunked\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "bare LF",
		act: toProxy((scene) => request(scene, "X: a\nTransfer-Encoding: chunked\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "bare CR",
		act: toProxy((scene) => request(scene, "X: a\rTransfer-Encoding: chunked\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "NUL in a header",
		act: toProxy((scene) => request(scene, "X: a\0b\r\n", smuggled(scene))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "Transfer-Encoding in HTTP/1.0",
		act: toProxy((scene) => request(scene, "Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "pipelining after a refused CONNECT",
		act: toProxy(
			(scene) => `CONNECT evil.example.test:443 HTTP/1.1\r\nHost: evil.example.test\r\n\r\n${smuggled(scene)}`,
		),
		reason: "NOT_IN_ALLOWLIST",
	},
	{
		name: "pipelining after a refused request",
		act: toProxy((scene) => `GET http://evil.example.test/ HTTP/1.1\r\nHost: x\r\n\r\n${smuggled(scene)}`),
		reason: "NOT_IN_ALLOWLIST",
	},
	{
		name: "oversized head",
		act: toProxy((scene) => request(scene, `X: ${"a".repeat(17_000)}\r\n`)),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "too many headers",
		act: toProxy((scene) => request(scene, "X: a\r\n".repeat(101))),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "URL that is not http",
		act: toProxy(({ good: port }) => `GET ftp://${NAME}:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`),
		reason: "INVALID_DESTINATION",
	},
	// Method and path rules.
	{
		name: "method that no rule allows",
		act: toProxy((scene) => request(scene, "Content-Length: 0\r\n", "", "/public")),
		reason: "NOT_IN_ALLOWLIST",
		rules: paths,
	},
	{ name: "path that no rule allows", act: getPath("/secret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "path that only starts alike", act: getPath("/publicity"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "dot segments", act: getPath("/public/../secret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "encoded dot segments", act: getPath("/public/%2e%2E/secret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "encoded slash", act: getPath("/public/..%2fsecret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "double encoding", act: getPath("/public/%252e%252e/secret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{ name: "backslash", act: getPath("/public\\..\\secret"), reason: "NOT_IN_ALLOWLIST", rules: paths },
	{
		name: "path parameter on a dot segment",
		act: getPath("/public/..;/secret"),
		reason: "NOT_IN_ALLOWLIST",
		rules: paths,
	},
	{
		name: "TLS where method rules apply",
		act: inTunnel(clientHello({ sni: NAME })),
		reason: "NOT_IN_ALLOWLIST",
		rules: paths,
	},
	{
		name: "opaque bytes where method rules apply",
		act: inTunnel(`\0${PAYLOAD}`),
		reason: "NOT_IN_ALLOWLIST",
		rules: paths,
	},
	{
		name: "lower-case method where method rules apply",
		act: inTunnel("post /secret HTTP/1.1\r\nHost: x\r\n\r\n"),
		reason: "SNI_MISMATCH",
		rules: paths,
	},
	// SOCKS5.
	{
		name: "SOCKS5 UDP associate",
		act: socks(1, Buffer.from([127, 0, 0, 1]), ({ good: port }) => port, 3),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "SOCKS5 BIND",
		act: socks(1, Buffer.from([127, 0, 0, 1]), ({ good: port }) => port, 2),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "SOCKS5 to an IPv4 address",
		act: socks(1, Buffer.from([127, 0, 0, 1]), ({ victim }) => victim),
		reason: "NOT_IN_ALLOWLIST",
	},
	{
		name: "SOCKS5 to an IPv6 address",
		act: socks(4, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]), ({ victim }) => victim),
		reason: "NOT_IN_ALLOWLIST",
	},
	{
		name: "SOCKS5 to an address as a name",
		act: socksName("127.0.0.1", ({ victim }) => victim),
		reason: "NOT_IN_ALLOWLIST",
	},
	{
		name: "SOCKS5 with a password",
		act: ({ gate }) => talk(gate.toProxy(), Buffer.from("050102", "hex")),
		reason: "INVALID_DESTINATION",
	},
	{ name: "SOCKS5 to port 0", act: socksName(NAME, () => 0), reason: "INVALID_DESTINATION" },
];
