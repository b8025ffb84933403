import ipaddr from "ipaddr.js";
import { type Architecture, SYSCALL_TABLE, seccompProgram } from "../seccomp/index.ts";

/** One thing that a guest does before the workload runs, in this order. Data only: it is part of the launch plan. */
export type SetupRecord =
	/** Of the skeleton: mount points and generated files, laid over the image's root. */
	| { readonly kind: "directory"; readonly path: string; readonly mode: string }
	| { readonly kind: "file"; readonly path: string; readonly mode: string; readonly text: string }
	/** As a file; stands in no plan. */
	| { readonly kind: "secret"; readonly path: string; readonly mode: string; readonly bytes: Uint8Array }
	| { readonly kind: "link"; readonly path: string; readonly to: string }
	| { readonly kind: "root" }
	| { readonly kind: "tmpfs"; readonly path: string; readonly mode: string; readonly sizeBytes: number }
	| { readonly kind: "proc" }
	| { readonly kind: "dev" }
	| { readonly kind: "disk"; readonly path: string; readonly device: DiskName; readonly fileSystem: string }
	| {
			readonly kind: "workspace";
			readonly path: string;
			readonly access: "read-only" | "read-write";
			/** Read-only disk below. */
			readonly lower: { readonly device: DiskName; readonly fileSystem: string };
			/** Disk that takes what is written; null for a read-only workspace. */
			readonly scratch: DiskName | null;
			readonly protected: readonly string[];
	  }
	| { readonly kind: "bind"; readonly path: string; readonly from: string }
	| { readonly kind: "listeners"; readonly listeners: readonly { readonly address: string; readonly port: number }[] }
	| { readonly kind: "hostname"; readonly name: string }
	| { readonly kind: "user"; readonly userId: number; readonly groupId: number }
	| { readonly kind: "working-directory"; readonly path: string }
	/** Stands in no plan: values of variables are secret. */
	| { readonly kind: "environment"; readonly name: string; readonly value: string }
	| { readonly kind: "argument"; readonly text: string }
	/** The same system call filter as every other driver's; its bytes are made when it is sent. */
	| { readonly kind: "seccomp"; readonly architecture: Architecture }
	| { readonly kind: "limits"; readonly limits: Readonly<Partial<Record<GuestLimit, number>>> }
	/** Its standard streams are a terminal of this size. */
	| { readonly kind: "terminal"; readonly rows: number; readonly columns: number }
	| { readonly kind: "run" };

/** How a guest finds a disk: by the serial that the machine gave it, or by its place where disks have none. */
export type DiskName = `serial:${string}` | `index:${number}`;

/** cgroup version 2 in the guest: processes, bytes, millicores; `nofile` is an rlimit. In the order of their record. */
const GUEST_LIMITS = ["pids", "memory", "nofile", "cpu"] as const;
export type GuestLimit = (typeof GUEST_LIMITS)[number];

const MAX_RECORD_BYTES = 2 ** 20;

/** The bytes of stream 4. Throws TypeError for what no record can hold. */
export function setupBytes(records: readonly SetupRecord[]): Buffer {
	return Buffer.concat(records.flatMap((record) => encode(record)));
}

function encode(record: SetupRecord): readonly Buffer[] {
	const [letter, ...parts] = partsOf(record);
	const payload = Buffer.concat(parts);
	if (payload.length > MAX_RECORD_BYTES) throw new TypeError(`a setup record of kind ${record.kind} is too long`);
	const header = Buffer.alloc(8);
	header.write(letter, 0, "latin1");
	header.writeUInt32LE(payload.length, 4);
	return [header, payload];
}

function partsOf(record: SetupRecord): readonly [letter: string, ...parts: Buffer[]] {
	switch (record.kind) {
		case "directory":
			return ["d", octal(record.mode), text(record.path)];
		case "file":
			return ["f", octal(record.mode), terminated(record.path), Buffer.from(record.text)];
		case "secret":
			return ["f", octal(record.mode), terminated(record.path), Buffer.from(record.bytes)];
		case "link":
			return ["l", terminated(record.path), text(record.to)];
		case "root":
			return ["r"];
		case "tmpfs":
			return ["t", octal(record.mode), long(record.sizeBytes), text(record.path)];
		case "proc":
			return ["p"];
		case "dev":
			return ["y"];
		case "disk":
			return ["k", terminated(record.path), terminated(record.device), text(record.fileSystem)];
		case "workspace":
			return ["w", ...workspaceParts(record)];
		case "bind":
			return ["b", terminated(record.path), text(record.from)];
		case "listeners":
			return ["n", ...record.listeners.flatMap(({ address, port }) => [short(port), mappedAddress(address)])];
		case "hostname":
			return ["h", text(record.name)];
		case "user":
			return ["u", word(record.userId), word(record.groupId)];
		case "working-directory":
			return ["c", text(record.path)];
		case "environment":
			return ["e", text(`${record.name}=${record.value}`)];
		case "argument":
			return ["a", text(record.text)];
		case "seccomp":
			return ["s", Buffer.from(seccompProgram(SYSCALL_TABLE, record.architecture))];
		case "limits":
			return ["m", ...GUEST_LIMITS.map((name) => long(record.limits[name] ?? 0))];
		case "terminal":
			return ["T", short(record.rows), short(record.columns)];
		case "run":
			return ["x"];
	}
}

function workspaceParts(record: Extract<SetupRecord, { readonly kind: "workspace" }>): readonly Buffer[] {
	return [
		Buffer.from([record.access === "read-only" ? 0 : 1]),
		terminated(record.path),
		terminated(record.lower.device),
		terminated(record.lower.fileSystem),
		terminated(record.scratch ?? ""),
		list(record.protected),
	];
}

function mappedAddress(text: string): Buffer {
	const address = ipaddr.parse(text);
	return Buffer.from((address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address).toByteArray());
}

function list(words: readonly string[]): Buffer {
	return Buffer.concat(words.map(terminated));
}

function terminated(value: string): Buffer {
	return Buffer.concat([text(value), Buffer.from([0])]);
}

function text(value: string): Buffer {
	if (value.includes("\0")) throw new TypeError("a text for the guest has a NUL");
	return Buffer.from(value);
}

function octal(mode: string): Buffer {
	return word(Number.parseInt(mode, 8));
}

function short(value: number): Buffer {
	const bytes = Buffer.alloc(2);
	bytes.writeUInt16LE(value);
	return bytes;
}

function word(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32LE(value);
	return bytes;
}

function long(value: number): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(BigInt(value));
	return bytes;
}
