import ipaddr from "ipaddr.js";

/** Setup records, as bytes. Every text with its NUL, but where a test says otherwise. */
export function record(kind: string, ...parts: readonly (Buffer | string)[]): Buffer {
	const payload = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part)));
	const header = Buffer.alloc(8);
	header.write(kind, 0, "latin1");
	header.writeUInt32LE(payload.length, 4);
	return Buffer.concat([header, payload]);
}

export function u8(value: number): Buffer {
	return Buffer.from([value]);
}

export function u16(value: number): Buffer {
	const bytes = Buffer.alloc(2);
	bytes.writeUInt16LE(value);
	return bytes;
}

export function u32(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32LE(value);
	return bytes;
}

export function u64(value: number): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(BigInt(value));
	return bytes;
}

const ENVIRONMENT = { PATH: "/bin", HOME: "/home/vouch" };

export interface Run {
	readonly arguments: readonly string[];
	readonly environment?: Readonly<Record<string, string>>;
	/** Before the root is composed. */
	readonly skeleton?: readonly Buffer[];
	/** After it. */
	readonly mounts?: readonly Buffer[];
	readonly directory?: string;
}

/** What a run usually asks for. */
export function setup(run: Run): Buffer {
	const environment = Object.entries({ ...ENVIRONMENT, ...run.environment });
	return Buffer.concat([
		record("u", u32(1000), u32(1000)),
		...["/tmp", "/dev", "/proc", "/home/vouch", "/workspace"].map((path) => record("d", u32(0o755), path)),
		record("f", u32(0o444), "/etc/hostname", Buffer.from("vouch\n")),
		record("f", u32(0o444), "/etc/resolv.conf", Buffer.from("nameserver 10.0.2.1\n")),
		...(run.skeleton ?? []),
		record("r"),
		record("t", u32(0o1777), u64(64 << 20), "/tmp"),
		record("t", u32(0o755), u64(1 << 20), "/home/vouch"),
		record("p"),
		record("y"),
		record("h", "vouch"),
		...(run.mounts ?? []),
		record("c", run.directory ?? "/"),
		...environment.map(([name, value]) => record("e", `${name}=${value}`)),
		...run.arguments.map((text) => record("a", text)),
		record("x"),
	]);
}

/** Zero stands for none. */
export function limits(pids: number, memoryBytes: number, openFiles: number, millicores: number): Buffer {
	return record("m", u64(pids), u64(memoryBytes), u64(openFiles), u64(millicores));
}

/** Of a loopback listener. */
export function listenerAt(address: string, port: number): Buffer {
	const parsed = ipaddr.parse(address);
	const mapped = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : parsed;
	return Buffer.concat([u16(port), Buffer.from(mapped.toByteArray())]);
}
