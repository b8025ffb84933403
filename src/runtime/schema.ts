import { z } from "zod";
import { artifactNameSchema, artifactPatternSchema, digestSchema, runIdSchema } from "../core/index.ts";
import { networkRulesSchema } from "../egress/schema.ts";

/** Properties that a driver keeps for a run, or says that it does not. */
export const guaranteeSchema = z.enum([
	"filesystem-isolation",
	"readonly-root",
	"process-isolation",
	"no-new-privileges",
	"syscall-filter",
	"network-deny-by-default",
	"limits-enforced",
	"separate-kernel",
	"verified-root",
	"measured-boot",
	"memory-encrypted",
	"deterministic",
	"attestable",
]);
export type Guarantee = z.infer<typeof guaranteeSchema>;

export const driverNameSchema = z.enum([
	"bwrap",
	"container",
	"firecracker",
	"qemu",
	"cartesi",
	"host",
	"darwin-automation",
	"fake",
]);
export type DriverName = z.infer<typeof driverNameSchema>;

const positive = z.int().positive();

/** Each null means "no limit asked for". A limit that is set and can't be enforced makes the plan Unmet. */
export const limitsSchema = z.strictObject({
	/** 1000 is one core. */
	cpuMillicores: positive.max(1_024_000).nullable(),
	memoryMiB: positive.max(1_048_576).nullable(),
	processes: positive.max(4_194_304).nullable(),
	openFiles: positive.max(1_048_576).nullable(),
	/** Bytes the run's processes may write to disks, in MiB; also the size of each tmpfs. */
	diskWriteMiB: positive.max(1_048_576 * 16).nullable(),
	/** stdout and stderr together. */
	outputBytes: positive.nullable(),
	/** Wall clock. */
	timeoutMs: positive.nullable(),
});
export type Limits = z.infer<typeof limitsSchema>;
export type LimitName = keyof Limits;

export const NO_LIMITS: Limits = {
	cpuMillicores: null,
	memoryMiB: null,
	processes: null,
	openFiles: null,
	diskWriteMiB: null,
	outputBytes: null,
	timeoutMs: null,
};

export const environmentNameSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/);
/** Names a secret, and its file. */
export const secretNameSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
/** An absolute path in the sandbox: no NUL, no `.` or `..` part. */
export const sandboxPathSchema = z
	.string()
	.max(4096)
	.regex(/^\/(?!.*\/\.{1,2}(\/|$))[^\0]*$/, "must be an absolute path without . and .. parts");

/** A file that a run handed over. */
export const artifactSchema = z.strictObject({
	/** Path below the workspace. */
	name: artifactNameSchema,
	bytes: z.int().nonnegative(),
	digest: digestSchema,
});
export type Artifact = z.infer<typeof artifactSchema>;

/** Of one run: what is beyond is left out, and said. */
export const ARTIFACT_LIMITS = { files: 1000, bytes: 256 * 2 ** 20 } as const;

/** What will run. Decisions and approvals name the digest of its canonical JSON. */
export const workloadSchema = z.strictObject({
	schema: z.literal("vouch.workload/v1"),
	root: z.discriminatedUnion("kind", [
		z.strictObject({ kind: z.literal("host") }),
		z.strictObject({
			kind: z.literal("image"),
			/** As the user wrote it. */
			reference: z.string().min(1).max(1024),
			/** Content digest of the root file system tree. */
			digest: digestSchema,
		}),
	]),
	argv: z
		.array(
			z
				.string()
				.max(131_072)
				.regex(/^[^\0]*$/),
		)
		.min(1)
		.max(4096),
	workingDirectory: sandboxPathSchema,
	/** Names of the variables set for the command, sorted. Values stay out of every record. */
	environment: z.array(environmentNameSchema).max(1024),
	/** Names of those variables whose values are secret: they are masked in what is stored. */
	secrets: z.array(environmentNameSchema).max(256),
	/** Names of secrets given as files below `/run/secrets`, in memory, sorted. Values stay out of every record, and are masked. */
	secretFiles: z.array(secretNameSchema).min(1).max(64).optional(),
	/** Name of the secret that its stdin is. */
	secretInput: secretNameSchema.optional(),
	/** Its standard streams are one terminal, of which it is the first process. */
	tty: z.literal(true).optional(),
	/** Which files of the workspace are kept when it has ended, sorted. */
	artifacts: z.array(artifactPatternSchema).min(1).max(64).optional(),
	workspace: z
		.strictObject({
			/** Absolute path on the machine that runs it. */
			source: z.string().startsWith("/").max(4096),
			access: z.enum(["read-write", "read-only"]),
			/**
			 * Entries directly in it that stay read-only even so: the policies that govern it. Deeper ones can't be kept: a folder
			 * above them could be renamed and another put in its place.
			 */
			protected: z.array(z.string().regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/)).max(16),
		})
		.nullable(),
	/** Further host files and folders shown read-only at the same path, e.g. a toolchain outside /usr. */
	exposed: z.array(sandboxPathSchema).max(64),
	network: networkRulesSchema,
	limits: limitsSchema,
	/** Guarantees without which it must not run. */
	demands: z.array(guaranteeSchema),
	/** A driver asked for by name; null takes the strongest. */
	isolation: driverNameSchema.nullable(),
});
export type Workload = z.infer<typeof workloadSchema>;

/** What the driver will not keep, each with its reason: shown before the run and held by the receipt. */
export const shortfallSchema = z.strictObject({ guarantee: guaranteeSchema, reason: z.string() });

/** How one machine will run one workload. Drivers add their own members; these are the ones every reader relies on. */
export const launchPlanSchema = z.looseObject({
	schema: z.literal("vouch.launch-plan/v1"),
	driver: driverNameSchema,
	runId: runIdSchema,
	workloadDigest: digestSchema,
	guarantees: z.strictObject({ kept: z.array(guaranteeSchema), notKept: z.array(shortfallSchema) }),
	limits: z.strictObject({
		enforced: z.array(z.strictObject({ limit: z.string(), by: z.string() })),
		notEnforced: z.array(z.strictObject({ limit: z.string(), reason: z.string() })),
	}),
});
