import { type ModuleInfo, moduleName } from "./modinfo.ts";
import { KernelRefusal } from "./refusal.ts";

/** The modules that a kernel has, as far as an order needs to know. */
export interface ModuleSource {
	/** What is built into the kernel itself. */
	readonly builtIn: ReadonlySet<string>;
	/** Undefined when there is none of that name. */
	infoOf(name: string): Promise<ModuleInfo | undefined>;
}

const MAX_MODULES = 200;

/**
 * The modules wanted and all that they depend on, each after what it depends on; otherwise in the order given and that of
 * `depends=`, so that the same package always gives the same order. Throws KernelRefusal.
 */
export async function loadOrder(wanted: readonly string[], source: ModuleSource): Promise<readonly string[]> {
	const order: string[] = [];
	const visit = async (name: string, above: readonly string[]): Promise<void> => {
		if (source.builtIn.has(name) || order.includes(name)) return;
		if (above.includes(name)) throw new KernelRefusal(`its module ${name} depends on itself`);
		const info = await source.infoOf(name);
		if (info === undefined) {
			const user = above.at(-1);
			throw new KernelRefusal(`it has no module ${name}${user === undefined ? "" : `, which ${user} depends on`}`);
		}
		for (const purpose of info.softDepends) {
			const provider = await providerOf(purpose, source);
			if (provider !== undefined) await visit(provider, [...above, name]);
		}
		for (const other of info.depends) await visit(other, [...above, name]);
		order.push(name);
		if (order.length > MAX_MODULES) throw new KernelRefusal(`it needs more than ${MAX_MODULES} modules`);
	};
	for (const name of wanted) await visit(moduleName(name), []);
	return order;
}

/**
 * A soft dependency may name a purpose rather than a module: `crypto-crc32c` or `crc32c`, which the crypto layer's plain C
 * module `crc32c_generic` serves on every machine. Undefined when nothing has to be loaded for it.
 */
async function providerOf(purpose: string, source: ModuleSource): Promise<string | undefined> {
	for (const name of [purpose, `${purpose.replace(/^crypto_/, "")}_generic`]) {
		if (source.builtIn.has(name)) return undefined;
		if ((await source.infoOf(name)) !== undefined) return name;
	}
	return undefined;
}

/** `modules.builtin`: a path below the kernel's folder on each line. */
export function builtInModules(text: string): ReadonlySet<string> {
	return new Set(
		text.split("\n").flatMap((line) => {
			const name = /([^/]+)\.ko$/.exec(line.trim())?.[1];
			return name === undefined ? [] : [moduleName(name)];
		}),
	);
}
