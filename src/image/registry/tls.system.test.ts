import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, type LookupFunction } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { registryMissing, startRegistry } from "../../../test/registry/real-registry.ts";
import { realHost } from "../../host/index.ts";
import { addSampleImage } from "../export/sample-image.ts";
import { openImageStore } from "../store/index.ts";
import { pullImage } from "./pull.ts";
import { pushImages } from "./push.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-tls-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const missing = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";
/** bcrypt, as htpasswd -B writes it: "s3cret". */
const HTPASSWD = "ann:$2b$04$hwbDIFtclkIUEnYkLm4xleB6sJAHsbaP4J8bwvEUoIpK/fvZaRGXG\n";

function certificate(): { readonly certificate: string; readonly key: string } {
	const [path, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
	const subject = ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test"];
	const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
	const made = spawnSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", path], {
		encoding: "utf8",
	});
	assert.equal(made.status, 0, made.stderr);
	return { certificate: path, key };
}

/** Takes every CONNECT to this machine, and remembers for where it was. */
async function connectProxy(port: number) {
	const asked: string[] = [];
	const server = createServer();
	server.on("connect", (request, client) => {
		asked.push(request.url ?? "");
		const upstream = connect(port, "127.0.0.1", () => {
			client.write("HTTP/1.1 200 OK\r\n\r\n");
			upstream.pipe(client).pipe(upstream);
		});
		upstream.on("error", () => client.destroy());
		client.on("error", () => upstream.destroy());
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { asked, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** Every name is this machine. */
const lookup: LookupFunction = (_, options, callback) => {
	const here = { address: "127.0.0.1", family: 4 };
	if (options.all === true) callback(null, [here]);
	else callback(null, here.address, here.family);
};

const skip = registryMissing() || missing;

test("a real registry with TLS and a login: right ones work, nothing else does", { skip }, async () => {
	const { certificate: path, key } = certificate();
	const folder = join(directory, "registry");
	mkdirSync(folder);
	writeFileSync(join(folder, "htpasswd"), HTPASSWD);
	const registry = await startRegistry(folder, {
		http: { addr: "127.0.0.1:0", tls: { certificate: path, key } },
		auth: { htpasswd: { realm: "vouch test", path: join(folder, "htpasswd") } },
	});
	try {
		const name = `registry.test:${registry.port}`;
		const login = (password: string) => {
			const file = join(directory, `${password}.json`);
			const auth = Buffer.from(`ann:${password}`).toString("base64");
			writeFileSync(file, JSON.stringify({ auths: { [name]: { auth } } }));
			return file;
		};
		const store = openImageStore(join(directory, "store"));
		const image = await addSampleImage(store);
		const trusting = { host: realHost(), lookup, certificates: [readFileSync(path, "utf8")], store };
		const good = { ...trusting, authFiles: [login("s3cret")] };
		await pushImages([image], `${name}/team/app:1`, good);
		const fresh = { store: openImageStore(join(directory, "fresh")), cacheDirectory: join(directory, "cache") };
		assert.equal((await pullImage(`${name}/team/app:1`, { ...good, ...fresh })).digest, image.digest);

		// Behind a proxy, as a company has it: the registry is reached through CONNECT alone.
		const proxy = await connectProxy(registry.port);
		const { lookup: ownLookup, ...unresolved } = good;
		assert.ok(ownLookup);
		const proxied = { ...unresolved, proxyEnvironment: { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` } };
		const third = { ...proxied, ...fresh, store: openImageStore(join(directory, "third")) };
		assert.equal((await pullImage(`${name}/team/app:1`, third)).digest, image.digest);
		assert.deepEqual([...new Set(proxy.asked)], [name]);
		proxy.close();

		const { certificates: _, ...untrusting } = good;
		await assert.rejects(pullImage(`${name}/team/app:1`, { ...untrusting, ...fresh }), {
			code: "registry-unreachable",
			message: /self-signed certificate.*tried 1 times/,
		});
		const wrong = { ...trusting, ...fresh, authFiles: [login("wrong")] };
		await assert.rejects(pullImage(`${name}/team/app:1`, wrong), {
			code: "registry-login-needed",
			message: /skopeo login/,
		});
		await assert.rejects(pullImage(`${name}/team/app:1`, { ...wrong, authFiles: [] }), /none is kept/);
		// Another name than the certificate's.
		const elsewhere = `elsewhere.test:${registry.port}/team/app:1`;
		await assert.rejects(pullImage(elsewhere, { ...good, ...fresh }), /altnames|does not match/i);
	} finally {
		await registry.stop();
	}
});
