import { formatBytes, parseByteSize } from "../../core/index.ts";
import { warmImage } from "../../runtime/index.ts";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { findImage, imageParts } from "../image/parts.ts";
import { realParts } from "../run/parts.ts";
import { printJson } from "../screen.ts";

export const imageWarmAction: Action = async ({ operands: [text = ""], flags }) => {
	const parts = realParts();
	const image = { kind: "image", ...(await findImage(imageParts(), text)) } as const;
	const warmed = await warmImage({
		host: parts.host,
		cacheDirectory: parts.directories.cache,
		image,
		limits: { memoryMiB: memoryOf(flags), cpuMillicores: cpusOf(flags) },
		machine: (flags.text("--machine") as "microvm" | "q35" | undefined) ?? null,
	});
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
