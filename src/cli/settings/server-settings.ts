import { z } from "zod";
import { type SettingsTable, setting, type ValuesOf } from "./settings.ts";

const path = z.string().min(1).max(4096);
const optionalPath = z.union([path, z.literal("")]);

/** What a control plane can be told (`vouch server`, `vouch up`). */
export const serverSettings = {
	host: setting({
		key: "listen.host",
		flag: "--host",
		environment: "VOUCH_SERVER_HOST",
		schema: z.string().min(1).max(255),
		standard: "127.0.0.1",
		reason: "a control plane is not for everybody until somebody says so",
	}),
	port: setting({
		key: "listen.port",
		flag: "--port",
		environment: "VOUCH_SERVER_PORT",
		schema: z.coerce.number().int().min(0).max(65_535),
		standard: 3000,
		reason: "existing nodes look there",
	}),
	trustedProxies: setting({
		key: "listen.trusted_proxies",
		flag: null,
		environment: "VOUCH_SERVER_TRUSTED_PROXIES",
		schema: z.preprocess(
			(value) => (typeof value === "string" ? value.split(",").filter((word) => word !== "") : value),
			z
				.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], "must be addresses or ranges, as 10.0.0.0/8"))
				.max(100),
		),
		standard: [],
		reason:
			"none: limits by address and audit then see the proxy, not who is behind it; theirs is the X-Forwarded-For to believe",
	}),
	store: setting({
		key: "store",
		flag: "--store",
		environment: "VOUCH_SERVER_STORE",
		schema: z
			.string()
			.regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, "must be sqlite:PATH or postgres://…")
			.or(z.literal("")),
		standard: "",
		reason: "empty is one SQLite file in the data folder; many machines need postgres://…",
	}),
	dataDirectory: setting({
		key: "data_directory",
		flag: "--data",
		environment: "VOUCH_SERVER_DATA",
		schema: optionalPath,
		standard: "",
		reason: "empty is a folder of its own below Vouch's data: keys, CA, journal, blobs",
	}),
	blobs: setting({
		key: "blobs.url",
		flag: "--blobs",
		environment: "VOUCH_SERVER_BLOBS",
		schema: z
			.string()
			.regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w./-]*)?$/, "must be s3://BUCKET or s3://BUCKET/PREFIX")
			.or(z.literal("")),
		standard: "",
		reason: "empty keeps diffs, receipts and attachments in the data folder; several control planes need s3://…",
	}),
	blobsEndpoint: setting({
		key: "blobs.endpoint",
		flag: null,
		environment: "AWS_ENDPOINT_URL_S3",
		schema: z.url({ protocol: /^https?$/ }).or(z.literal("")),
		standard: "",
		reason: "empty is Amazon's in the region; others that speak S3 have their own",
	}),
	blobsRegion: setting({
		key: "blobs.region",
		flag: null,
		environment: "AWS_REGION",
		schema: z.string().min(1).max(64),
		standard: "us-east-1",
		reason: "part of what a request is signed with",
	}),
	blobsAccessKeyId: setting({
		key: "blobs.access_key_id",
		flag: null,
		environment: "AWS_ACCESS_KEY_ID",
		schema: z.string().max(256),
		standard: "",
		reason: "needed with s3://…",
	}),
	blobsSecretAccessKey: setting({
		key: "blobs.secret_access_key",
		flag: null,
		environment: "AWS_SECRET_ACCESS_KEY",
		schema: z.string().max(256),
		standard: "",
		reason: "needed with s3://…; better a variable than a line of the file",
		secret: "secret",
	}),
	leaseSeconds: setting({
		key: "lease.seconds",
		flag: null,
		environment: "VOUCH_SERVER_LEASE_SECONDS",
		schema: z.coerce.number().int().min(5).max(3600),
		standard: 300,
		reason: "so long a node that is not heard of keeps what it was leased; existing nodes renew every 100 s",
	}),
	approvalWaitHours: setting({
		key: "approvals.wait_hours",
		flag: null,
		environment: "VOUCH_SERVER_APPROVAL_WAIT_HOURS",
		schema: z.coerce.number().int().min(1).max(8760),
		standard: 168,
		reason: "a week: a directive that nobody says yes or no to is canceled then",
	}),
	territoryAuth: setting({
		key: "territory_auth.mode",
		flag: "--territory-auth",
		environment: "CONDUITS_TERRITORY_AUTH_MODE",
		schema: z.enum(["mtls", "header", "either"]),
		standard: "mtls",
		reason: "in the others anybody may claim to be any territory: development only",
	}),
	fingerprintHeader: setting({
		key: "territory_auth.fingerprint_header",
		flag: "--fingerprint-header",
		environment: "CONDUITS_MTLS_FINGERPRINT_HEADER",
		schema: z.string().max(255),
		standard: "",
		reason: "empty trusts no proxy; a header is only as good as the proxy that strips what clients send",
	}),
	peopleAuth: setting({
		key: "people_auth",
		flag: "--people-auth",
		environment: "VOUCH_SERVER_PEOPLE_AUTH",
		schema: z.enum(["tokens", "headers"]),
		standard: "tokens",
		reason: "headers have no secret: development only",
	}),
	oidcIssuer: setting({
		key: "oidc.issuer",
		flag: null,
		environment: "VOUCH_SERVER_OIDC_ISSUER",
		schema: z.url({ protocol: /^https?$/ }).or(z.literal("")),
		standard: "",
		reason: "empty leaves people with tokens alone; the provider's URL lets them sign in there",
	}),
	oidcClientId: setting({
		key: "oidc.client_id",
		flag: null,
		environment: "VOUCH_SERVER_OIDC_CLIENT_ID",
		schema: z.string().max(1024),
		standard: "",
		reason: "as the provider registered Vouch: a native client, which comes back to http://127.0.0.1",
	}),
	oidcClientSecret: setting({
		key: "oidc.client_secret",
		flag: null,
		environment: "VOUCH_SERVER_OIDC_CLIENT_SECRET",
		schema: z.string().max(1024),
		standard: "",
		reason: "empty for a public client; better a variable than a line of the file",
		secret: "secret",
	}),
	oidcScope: setting({
		key: "oidc.scope",
		flag: null,
		environment: "VOUCH_SERVER_OIDC_SCOPE",
		schema: z.string().max(1024),
		standard: "openid email profile",
		reason: "people are known by the email address that the provider verified",
	}),
	tlsCertificate: setting({
		key: "tls.certificate",
		flag: "--tls-certificate",
		environment: "VOUCH_SERVER_TLS_CERTIFICATE",
		schema: optionalPath,
		standard: "",
		reason: "empty speaks plain HTTP, which is right on loopback or behind a proxy",
	}),
	tlsKey: setting({
		key: "tls.key",
		flag: "--tls-key",
		environment: "VOUCH_SERVER_TLS_KEY",
		schema: optionalPath,
		standard: "",
		reason: "the certificate's key, PEM, readable by this user alone",
	}),
	cableUrl: setting({
		key: "cable_url",
		flag: null,
		environment: "ACTION_CABLE_URL",
		schema: z.string().min(1).max(2048),
		standard: "/cable",
		reason: "where enrolling territories are told the WebSocket is",
	}),
	latestNodeVersion: setting({
		key: "nodes.latest_version",
		flag: null,
		environment: "VOUCH_SERVER_LATEST_NODE",
		schema: z.string().max(64),
		standard: "",
		reason: "empty tells nodes nothing of versions",
	}),
	minimumNodeVersion: setting({
		key: "nodes.minimum_version",
		flag: null,
		environment: "VOUCH_SERVER_MINIMUM_NODE",
		schema: z.string().max(64),
		standard: "0.0.0",
		reason: "older nodes are leased nothing, and warn their operator; counts only beside a latest version",
	}),
	logLevel: setting({
		key: "log.level",
		flag: "--log-level",
		environment: "VOUCH_SERVER_LOG_LEVEL",
		schema: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]),
		standard: "info",
		reason: "one line for each thing an operator would ask about",
	}),
	maxLogChunkBytes: setting({
		key: "limits.log_chunk_bytes",
		flag: null,
		environment: "CONDUITS_LOG_CHUNK_MAX_BYTES",
		schema: z.coerce.number().int().min(1024).max(262_144),
		standard: 262_144,
		reason: "what nodes are used to",
	}),
} as const satisfies SettingsTable;
export type ServerSettings = ValuesOf<typeof serverSettings>;
