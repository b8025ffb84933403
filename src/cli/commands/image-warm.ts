import { formatBytes, parseByteSize } from "../../core/index.ts";
import { openPool, type WarmRequest, warmImage } from "../../runtime/index.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { longWork } from "../image/long-work.ts";
import { findImage, imageParts } from "../image/parts.ts";
import { realParts } from "../run/parts.ts";
import { printJson } from "../screen.ts";

export const imageWarmAction: Action = async ({ operands: [text = ""], flags }) => {
	const parts = realParts();
	const image = { kind: "image", ...(await findImage(imageParts(), text)) } as const;
	const request: WarmRequest = {
		host: parts.host,
		cacheDirectory: parts.directories.cache,
		image,
		limits: { memoryMiB: memoryOf(flags), cpuMillicores: cpusOf(flags) },
		machine: (flags.text("--machine") as WarmRequest["machine"] | undefined) ?? null,
	};
	const count = keptOf(flags);
	if (count !== null) return keep(text, request, count);
	const warmed = await warmImage(request);
	if (flags.has("--json")) printJson(warmed);
	else {
		const { template, made, memoryMiB } = warmed;
		const words = made === "now" ? "is asleep now" : "was asleep already";
		process.stdout.write(
			`${text} ${words}: ${memoryMiB} MiB of machine, ${formatBytes(template.stateBytes)} on disk\n`,
		);
	}
	return 0;
};

/** Until it is told to end: those machines that runs have taken are waited for. */
function keep(name: string, request: WarmRequest, size: number): Promise<number> {
	return longWork("quiet", async (signal) => {
		const onFailure = (reason: string): void => {
			process.stderr.write(`vouch: a machine did not come up: ${reason}\n`);
		};
		await using pool = await openPool({ ...request, size, onFailure });
		void pool
			.filled()
			.then(() => process.stderr.write(`vouch: ${size} machines of ${name} wait, ${pool.memoryMiB} MiB each\n`));
		await new Promise((resolve) => signal.addEventListener("abort", resolve));
		return 0;
	});
}

function keptOf(flags: FlagValues): number | null {
	const text = flags.text("--keep");
	if (text === undefined) return null;
	if (/^[1-9]\d?$/.test(text) && Number(text) <= 64) return Number(text);
	throw fail("cli.usage", { problem: `--keep ${text}: write a number of machines from 1 to 64.` });
}

function memoryOf(flags: FlagValues): number | null {
	const text = flags.text("--memory");
	if (text === undefined) return null;
	const bytes = parseByteSize(text);
	if (bytes !== undefined && bytes >= 2 ** 20) return Math.floor(bytes / 2 ** 20);
	throw fail("cli.usage", { problem: `--memory ${text}: write a size such as 512M or 2G.` });
}

function cpusOf(flags: FlagValues): number | null {
	const text = flags.text("--cpus");
	if (text === undefined) return null;
	if (/^\d{1,4}(\.\d{1,3})?$/.test(text) && Number(text) > 0) return Math.round(Number(text) * 1000);
	throw fail("cli.usage", { problem: `--cpus ${text}: write a number of cores such as 0.5 or 2.` });
}
