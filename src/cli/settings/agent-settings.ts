import { z } from "zod";
import { parseByteSize, parseDurationMs } from "../../core/index.ts";
import { secretNameSchema } from "../../runtime/schema.ts";
import { type SettingsTable, setting, type ValuesOf } from "./settings.ts";

const optionalPath = z.union([z.string().max(4096), z.literal("")]);

/** A time such as 30s or 24h, in milliseconds. 0 is written without a unit. */
const durationSchema = z.union([z.string(), z.int()]).transform((value, context) => {
	const milliseconds = value === 0 || value === "0" ? 0 : parseDurationMs(String(value));
	if (milliseconds !== undefined) return milliseconds;
	context.addIssue({ code: "custom", message: "write a time such as 30s, 10m or 24h" });
	return z.NEVER;
});

const byteSizeSchema = z.union([z.string(), z.int()]).transform((value, context) => {
	const bytes = parseByteSize(String(value));
	if (bytes !== undefined) return bytes;
	context.addIssue({ code: "custom", message: "write a size such as 512M or 1G" });
	return z.NEVER;
});

/** `a=b,c=d` where there is only text. */
const labelsSchema = z.preprocess(
	(value) =>
		typeof value === "string"
			? Object.fromEntries(value.split(",").flatMap((pair) => (pair === "" ? [] : [pair.split("=", 2)])))
			: value,
	z.record(z.string().min(1).max(255), z.string().max(255)),
);

/** `a,b` where there is only text. */
function wordsSchema(word: z.ZodString) {
	return z.preprocess(
		(value) => (typeof value === "string" ? value.split(",").filter((part) => part !== "") : value),
		z.array(word).max(100),
	);
}

/** What a node can be told (`vouch agent`). Keys that existing nodes have mean the same here (conduits section 7.2). */
export const agentSettings = {
	serverUrl: setting({
		key: "server_url",
		flag: "--server",
		environment: "VOUCH_AGENT_SERVER_URL",
		schema: z.url({ protocol: /^https?$/ }),
		standard: null,
		reason: "`vouch agent enroll` writes it",
	}),
	territoryId: setting({
		key: "territory_id",
		flag: null,
		environment: "VOUCH_AGENT_TERRITORY_ID",
		schema: z.string().max(128),
		standard: "",
		reason: "`vouch agent enroll` writes it",
	}),
	name: setting({
		key: "name",
		flag: "--name",
		environment: "VOUCH_AGENT_NAME",
		schema: z.string().min(1).max(255),
		standard: "nexus",
		reason: "as existing nodes are called when nobody names them",
	}),
	labels: setting({
		key: "labels",
		flag: "--labels",
		environment: "VOUCH_AGENT_LABELS",
		schema: labelsSchema,
		standard: {},
		reason: "what people find it by",
	}),
	dataDirectory: setting({
		key: "data_directory",
		flag: "--data",
		environment: "VOUCH_AGENT_DATA",
		schema: optionalPath,
		standard: "",
		reason: "empty is a folder of its own below Vouch's data: keys, undelivered ends, live runs",
	}),
	importable: setting({
		key: "facilities.import",
		flag: null,
		environment: "VOUCH_AGENT_IMPORT",
		schema: z.preprocess(
			(value) => (typeof value === "string" ? value.split(":").filter((path) => path !== "") : value),
			z.array(z.string().startsWith("/", "must be an absolute path").max(4096)).max(100),
		),
		standard: [],
		reason:
			"none: a control plane reads no folder of this machine until somebody names it; `vouch up` has the user's home",
	}),
	workDirectory: setting({
		key: "work_dir",
		flag: null,
		environment: "VOUCH_AGENT_WORK_DIR",
		schema: optionalPath,
		standard: "",
		reason: "empty is `facilities` in the data folder",
	}),
	cableUrl: setting({
		key: "cable_url",
		flag: null,
		environment: "VOUCH_AGENT_CABLE_URL",
		schema: z
			.string()
			.max(2048)
			.regex(/^(\/|(ws|http)s?:\/\/[^/\s])/, "must be a path or a URL"),
		standard: "/cable",
		reason: "where the WebSocket is, at the control plane or as a whole URL; `vouch agent enroll` writes it",
	}),
	certificateAuthority: setting({
		key: "tls.ca_file",
		flag: null,
		environment: "VOUCH_AGENT_CA_FILE",
		schema: optionalPath,
		standard: "",
		reason: "empty trusts what the system trusts",
	}),
	certificate: setting({
		key: "tls.client_cert_file",
		flag: null,
		environment: "VOUCH_AGENT_CERTIFICATE",
		schema: optionalPath,
		standard: "",
		reason: "`vouch agent enroll` writes it",
	}),
	key: setting({
		key: "tls.client_key_file",
		flag: null,
		environment: "VOUCH_AGENT_KEY",
		schema: optionalPath,
		standard: "",
		reason: "the same file as the certificate lets the node renew both",
	}),
	controlPlaneKey: setting({
		key: "control_plane_key",
		flag: null,
		environment: "VOUCH_AGENT_CONTROL_PLANE_KEY",
		schema: z.string().max(1024),
		standard: "",
		reason: "empty is for existing control planes, which sign no decisions; `vouch agent enroll` writes ours",
	}),
	maxConcurrent: setting({
		key: "poll.max_directives_to_claim",
		flag: "--max-concurrent",
		environment: "VOUCH_AGENT_MAX_CONCURRENT",
		schema: z.coerce.number().int().min(1).max(1000),
		standard: 1,
		reason: "directives at once",
	}),
	retryBackOffMs: setting({
		key: "poll.retry_backoff",
		flag: null,
		environment: "VOUCH_AGENT_RETRY_BACKOFF",
		schema: durationSchema,
		standard: "2s",
		reason: "between polls that gave nothing; a WebSocket wakes it sooner",
	}),
	maxOutputBytes: setting({
		key: "log.max_output_bytes",
		flag: null,
		environment: "VOUCH_AGENT_MAX_OUTPUT",
		schema: z.coerce.number().int().min(1),
		standard: 2_000_000,
		reason: "of a directive that sets no limit; what is beyond is cut",
	}),
	logOverflow: setting({
		key: "log_overflow.enabled",
		flag: null,
		environment: "VOUCH_AGENT_LOG_OVERFLOW",
		schema: z.stringbool().or(z.boolean()),
		standard: true,
		reason: "output beyond the limit is kept in the facility",
	}),
	logOverflowDirectory: setting({
		key: "log_overflow.dir",
		flag: null,
		environment: "VOUCH_AGENT_LOG_OVERFLOW_DIR",
		schema: z
			.string()
			.regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[^\0]{1,255}$/, "must be a relative path that stays in the facility"),
		standard: ".nexus/overflow",
		reason: "as existing nodes have it; each directive has a folder of its own in it",
	}),
	logOverflowBytes: setting({
		key: "log_overflow.max_bytes_per_stream",
		flag: null,
		environment: "VOUCH_AGENT_LOG_OVERFLOW_BYTES",
		schema: byteSizeSchema.refine((bytes) => bytes >= 1, "must be at least 1"),
		standard: 52_428_800,
		reason: "50 MiB",
	}),
	debugTape: setting({
		key: "debug_tape.enabled",
		flag: null,
		environment: "VOUCH_AGENT_DEBUG_TAPE",
		schema: z.stringbool().or(z.boolean()),
		standard: false,
		reason: "a line for each step of each directive, for whoever looks for what went wrong",
	}),
	debugTapePath: setting({
		key: "debug_tape.path",
		flag: null,
		environment: "VOUCH_AGENT_DEBUG_TAPE_PATH",
		schema: optionalPath,
		standard: "",
		reason: "empty is `debug-tape.jsonl` in the data folder",
	}),
	debugTapeBytes: setting({
		key: "debug_tape.max_bytes",
		flag: null,
		environment: "VOUCH_AGENT_DEBUG_TAPE_BYTES",
		schema: byteSizeSchema.refine((bytes) => bytes >= 1, "must be at least 1"),
		standard: 10_485_760,
		reason: "10 MiB; what was full before is kept as PATH.1",
	}),
	heartbeatMs: setting({
		key: "heartbeat.interval",
		flag: null,
		environment: "VOUCH_AGENT_HEARTBEAT",
		schema: durationSchema,
		standard: "10s",
		reason: "a thirtieth of a lease",
	}),
	territoryHeartbeatMs: setting({
		key: "territory_heartbeat.interval",
		flag: null,
		environment: "VOUCH_AGENT_TERRITORY_HEARTBEAT",
		schema: durationSchema,
		standard: "30s",
		reason: "a tenth of what makes a territory offline",
	}),
	healthAddress: setting({
		key: "observability.listen_addr",
		flag: "--health",
		environment: "VOUCH_AGENT_HEALTH",
		schema: z.string().regex(/^(.*:\d{1,5})?$/, "must be HOST:PORT, or empty"),
		standard: "",
		reason: "empty listens nowhere; /healthz, /readyz and /metrics ask for no credential",
	}),
	drainMs: setting({
		key: "shutdown_timeout",
		flag: null,
		environment: "VOUCH_AGENT_SHUTDOWN_TIMEOUT",
		schema: durationSchema,
		standard: "60s",
		reason: "what runs may end in so long; then it is stopped, and its end is told",
	}),
	hostProfile: setting({
		key: "profiles.host",
		flag: null,
		environment: "VOUCH_AGENT_HOST_PROFILE",
		schema: z.enum(["accepted", "refused"]),
		standard: "refused",
		reason: "directives of that profile run without isolation",
	}),
	helperSocket: setting({
		key: "helper.socket",
		flag: null,
		environment: "VOUCH_AGENT_HELPER_SOCKET",
		schema: optionalPath,
		standard: "",
		reason: "empty asks nobody: systemd hands a unit its control group; the helper does where it does not",
	}),
	secretsDirectory: setting({
		key: "secrets.directory",
		flag: null,
		environment: "VOUCH_AGENT_SECRETS_DIRECTORY",
		schema: optionalPath,
		standard: "",
		reason: "a file for each secret, as systemd's credentials are; empty has none",
	}),
	secretsCommand: setting({
		key: "secrets.command",
		flag: null,
		environment: "VOUCH_AGENT_SECRETS_COMMAND",
		schema: z.preprocess(
			(value) => (typeof value === "string" ? value.split(" ").filter((word) => word !== "") : value),
			z.array(z.string().min(1)).max(64),
		),
		standard: [],
		reason: "a program that prints the secret whose name is added to its words; asked for what the folder has not",
	}),
	sshKey: setting({
		key: "ssh.key",
		flag: null,
		environment: "VOUCH_AGENT_SSH_KEY",
		schema: secretNameSchema.or(z.literal("")),
		standard: "",
		reason: "name of the secret that is the private key which repositories are cloned with over ssh; empty has none",
	}),
	sshKnownHosts: setting({
		key: "ssh.known_hosts",
		flag: null,
		environment: "VOUCH_AGENT_SSH_KNOWN_HOSTS",
		schema: secretNameSchema,
		standard: "known_hosts",
		reason: "name of the secret that holds the keys of hosts; the key is shown to no other",
	}),
	imageRegistries: setting({
		key: "images.registries",
		flag: null,
		environment: "VOUCH_AGENT_IMAGE_REGISTRIES",
		schema: wordsSchema(
			z
				.string()
				.regex(/^[^\s/@]+$/, "must be HOST or HOST:PORT")
				.max(300),
		),
		standard: [],
		reason:
			"none: a directive's image must be in this machine's store, unless it lies in a registry that is named here",
	}),
	poolImages: setting({
		key: "pool.images",
		flag: null,
		environment: "VOUCH_AGENT_POOL_IMAGES",
		schema: wordsSchema(z.string().min(1).max(300)),
		standard: [],
		reason: "none: machines that wait cost memory; those of an image named here save a directive its boot",
	}),
	poolSize: setting({
		key: "pool.size",
		flag: null,
		environment: "VOUCH_AGENT_POOL_SIZE",
		schema: z.coerce.number().int().min(1).max(64),
		standard: 1,
		reason: "machines of each image that wait at any time",
	}),
	poolMemoryMiB: setting({
		key: "pool.memory",
		flag: null,
		environment: "VOUCH_AGENT_POOL_MEMORY",
		schema: byteSizeSchema.transform((bytes) => Math.floor(bytes / 2 ** 20) || null),
		standard: 0,
		reason: "0 is what a directive without a limit gets; one with another takes no machine from the pool",
	}),
	minimumFreeBytes: setting({
		key: "disk.minimum_free",
		flag: null,
		environment: "VOUCH_AGENT_MINIMUM_FREE",
		schema: byteSizeSchema,
		standard: "1G",
		reason: "below it nothing is begun",
	}),
	pruneIdleMs: setting({
		key: "prune.idle",
		flag: null,
		environment: "VOUCH_AGENT_PRUNE_IDLE",
		schema: durationSchema,
		standard: "24h",
		reason: "a facility not used for so long is removed here; 0 keeps it",
	}),
	pruneOldMs: setting({
		key: "prune.age",
		flag: null,
		environment: "VOUCH_AGENT_PRUNE_AGE",
		schema: durationSchema,
		standard: "168h",
		reason: "a facility so old is removed here when it is not in use; 0 keeps it",
	}),
	logLevel: setting({
		key: "log.level",
		flag: "--log-level",
		environment: "VOUCH_AGENT_LOG_LEVEL",
		schema: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]),
		standard: "info",
		reason: "one line for each thing an operator would ask about",
	}),
} as const satisfies SettingsTable;
export type AgentSettings = ValuesOf<typeof agentSettings>;
