import { concatBytes, utf8 } from "../core/index.ts";
import { fail } from "./failures.ts";
import type { SupervisionSpec } from "./host.ts";

/** Absolute paths of the programs that set up a run's network; null without one. */
export interface NetworkTools {
	readonly ip: string;
	readonly nft: string;
}

type Row = readonly [key: string, value: string | Uint8Array];

/**
 * The bytes that tell the supervisor what to do: records `key NUL decimal-length NUL value`, `end` the last.
 * Its reader and its bounds are in `supervisor/spec.c`.
 */
export function instructionBytes(
	spec: SupervisionSpec,
	tools: NetworkTools | null,
	start: "held" | "at-once" = "at-once",
): Uint8Array {
	const rows: Row[] = [...programRows(spec), ...confinementRows(spec)];
	if (spec.network !== null && tools !== null) rows.push(...networkRows(spec.network, tools));
	if (start === "held") rows.push(["held", "1"]);
	rows.push(["end", ""]);
	return concatBytes(...rows.flatMap(record));
}

function record([key, value]: Row): Uint8Array[] {
	const bytes = typeof value === "string" ? utf8(value) : value;
	return [utf8(`${key}\0${bytes.length}\0`), bytes];
}

/** A text that C can hold: refused, never cut short at the NUL. */
function text(what: string, value: string): string {
	if (value.includes("\0")) throw fail("instruction-invalid", { what, reason: "it contains a NUL character" });
	if (!value.isWellFormed()) throw fail("instruction-invalid", { what, reason: "it is not well-formed Unicode" });
	return value;
}

function programRows(spec: SupervisionSpec): Row[] {
	return [
		...spec.argv.map((word): Row => ["argv", text("command line word", word)]),
		...Object.entries(spec.environment).map(([name, value]): Row => {
			if (name === "" || name.includes("=")) {
				throw fail("instruction-invalid", { what: "environment name", reason: "it is empty or contains =" });
			}
			return ["environment", text(`environment value (${name})`, `${name}=${value}`)];
		}),
		["directory", text("working directory", spec.workingDirectory)],
		["signal-target", spec.signalTarget],
		...terminalRows(spec.terminal),
		...(spec.startDescriptor === undefined ? [] : [["start-descriptor", String(spec.startDescriptor)] as const]),
		...spec.descriptors.map((given): Row => ["descriptor", concatBytes(utf8(`${given.fd}\0`), given.bytes)]),
		...spec.afterwards.map((argv): Row => ["afterwards", argv.map((word) => `${text("command", word)}\0`).join("")]),
	];
}

function terminalRows(terminal: SupervisionSpec["terminal"]): Row[] {
	if (terminal === undefined) return [];
	const { descriptor, size } = terminal;
	return [
		["terminal-descriptor", String(descriptor)],
		["terminal-rows", String(size.rows)],
		["terminal-columns", String(size.columns)],
	];
}

function confinementRows(spec: SupervisionSpec): Row[] {
	return [
		...spec.controlGroups.flatMap((group): Row[] => [
			["group", text("control group", group.path)],
			...group.files.map(({ name, value }): Row => ["group-file", pair(name, value)]),
		]),
		...spec.resourceLimits.map(({ name, value }): Row => ["limit", pair(name, String(value))]),
		...(spec.privateMounts?.unmount ?? []).map((path): Row => ["unmount", text("mount point", path)]),
		...(spec.diskWriteBytes === null ? [] : [["disk-write-bytes", String(spec.diskWriteBytes)] as const]),
	];
}

function networkRows(network: NonNullable<SupervisionSpec["network"]>, tools: NetworkTools): Row[] {
	return [
		["ip", tools.ip],
		["nft", tools.nft],
		["gate-commands", network.gateCommands],
		["sandbox-commands", network.sandboxCommands],
		["firewall", network.firewall],
		["redirect-port", String(network.redirectPort)],
		["resolver-address", network.resolverAddress],
		["gate-interface", network.gateInterface],
		["sandbox-interface", network.sandboxInterface],
		...network.loopbackListeners.map((at): Row => ["listener", pair(at.address, String(at.port))]),
		["gate-socket", network.gateSocket],
		["max-connections", String(network.maxConnections)],
	];
}

function pair(name: string, value: string): string {
	return `${text("name", name)}\0${text("value", value)}`;
}
