import { type Host, realHost } from "../../host/index.ts";
import { drivers, type ImageRoot, type Measurements, measureOnce } from "../../runtime/index.ts";
import { directoriesFrom } from "../directories.ts";

/** This machine, and what drivers found on it: looked at once for one command. Imports nothing that takes long to load. */
export interface Machine {
	readonly host: Host;
	readonly measured: Measurements;
	/** Says which image a driver's trial may boot, or that there is none; a look at the machine may be waiting for it. */
	offerImage(image: ImageRoot | undefined): void;
}

export function realMachine(): Machine {
	const host = realHost();
	const { promise: image, resolve: offerImage } = Promise.withResolvers<ImageRoot | undefined>();
	const { cache: cacheDirectory } = directoriesFrom(process.env, host.userId);
	return { host, measured: measureOnce(host, { cacheDirectory, image: () => image }), offerImage };
}

/** Starts what a run will wait for: its supervisor, and the look at the machine by the driver that is asked first. `wanted` is what --isolation says. */
export function measureEarly(wanted: string | undefined): Machine {
	const machine = realMachine();
	machine.host.expectRun();
	const anyDriver = wanted === undefined || wanted === "strongest";
	// Most runs are of this machine's own root; one in a virtual machine is asked for by name.
	const first = drivers.find(({ name, strength, roots }) =>
		anyDriver ? strength > 0 && roots.includes("host") : name === (wanted === "vm" ? "qemu" : wanted),
	);
	// Whoever asks for it gets its failure.
	if (first !== undefined) machine.measured.of(first).catch(() => {});
	return machine;
}
