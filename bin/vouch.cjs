// Plain JavaScript for any Node: it must be able to say that this Node is too old. CommonJS, because the package's own bundle
// is: an ES module that imports a part of Node has all of that part's lazy halves loaded, some 15 ms for what a run needs.
const { existsSync } = require("node:fs");
const { homedir } = require("node:os");
const { dirname, isAbsolute, join } = require("node:path");

const NEEDED = 24;
/** As in src/cli: what Vouch itself fails with is never mistaken for the command's own exit code. */
const OWN_FAILURE = 125;

const root = dirname(__dirname);

if (Number.parseInt(process.versions.node, 10) < NEEDED) {
	process.stderr.write(
		`vouch: Starting: this is Node ${process.versions.node} and Vouch needs ${NEEDED}. ` +
			"Install the package with its optional dependencies, which bring it, or run: npm install -g node@24\n",
	);
	process.exitCode = OWN_FAILURE;
} else {
	start();
}

function start() {
	const { enableCompileCache, registerHooks } = require("node:module");
	const cache = compileCacheDirectory();
	if (cache !== undefined) enableCompileCache(cache);
	// A checkout has both once it was packed, and then dist is the older one; a package has dist alone.
	const source = join(root, "src/cli/main.ts");
	if (existsSync(source)) {
		registerHooks({ resolve: withoutTranslations });
		import(source).then(({ main }) => main(process.argv.slice(2)));
	} else {
		// Most starts are runs, and those are waited for: they have a bundle of their own.
		require(process.argv[2] === "run" ? "../dist/run/main.cjs" : "../dist/cli/main.cjs").main(process.argv.slice(2));
	}
}

/**
 * zod loads its messages in 60 languages, a file each, and nothing here shows one but English, which it finds by another
 * way: a seventh of the time from start to first line. The package's bundle has left them out.
 */
function withoutTranslations(specifier, context, next) {
	if (!specifier.endsWith("/locales/index.js")) return next(specifier, context);
	return { url: "data:text/javascript,export{}", shortCircuit: true };
}

/**
 * Node's default is below the shared temporary folder, where another user could put compiled code in our way: nothing in it
 * is signed. So it is the user's own cache folder, or none.
 */
function compileCacheDirectory() {
	const given = process.env.XDG_CACHE_HOME;
	if (given !== undefined && isAbsolute(given)) return join(given, "vouch/compiled");
	const home = homedir();
	return isAbsolute(home) ? join(home, ".cache/vouch/compiled") : undefined;
}
