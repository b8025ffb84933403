/** What `--image` may name. */
export type RootReference =
	/** A folder, used in place. */
	| { readonly kind: "directory"; readonly path: string }
	| { readonly kind: "tar"; readonly path: string }
	/** An OCI image layout on disk; the tag picks one of several images. */
	| { readonly kind: "layout"; readonly path: string; readonly tag: string | null }
	/** In a registry; plain HTTP is spoken to loopback alone. */
	| { readonly kind: "registry"; readonly name: string; readonly transport: "https" | "loopback" };

/** Whether something is at a path, as the caller found it. */
export type PathKind = "directory" | "layout" | "file" | "missing";

/**
 * The reference as written, or undefined. `docker://` and `oci:` say what they are; else a path that is there is that
 * path, and `host:port/name` or `host.domain/name` is in a registry. A bare `debian` is not looked up anywhere.
 */
export function parseRootReference(text: string, kindOf: (path: string) => PathKind): RootReference | undefined {
	if (text.startsWith("docker://")) return registryReference(text.slice("docker://".length));
	if (text.startsWith("oci:")) return layoutReference(text.slice("oci:".length), kindOf);
	const kind = kindOf(text);
	if (kind === "directory") return { kind, path: text };
	if (kind === "layout") return { kind, path: text, tag: null };
	if (kind === "file") return { kind: "tar", path: text };
	return text.startsWith("/") || text.startsWith(".") ? undefined : registryReference(text);
}

function layoutReference(rest: string, kindOf: (path: string) => PathKind): RootReference | undefined {
	const match = /^(.+?)(?::([\w.-]{1,128}))?$/.exec(rest);
	const [, path, tag] = match ?? [];
	return path === undefined || kindOf(path) !== "layout" ? undefined : { kind: "layout", path, tag: tag ?? null };
}

/** distribution-spec 1.0 names, with the host that Docker would let one leave out. */
const REGISTRY_NAME =
	/^(localhost|127\.0\.0\.1|\[::1\]|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(?::\d{1,5})?\/[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w.-]{1,128}|@sha256:[0-9a-f]{64})?$/;

function registryReference(name: string): RootReference | undefined {
	const host = REGISTRY_NAME.exec(name)?.[1];
	if (host === undefined) return undefined;
	const loopback = host === "localhost" || host === "127.0.0.1" || host === "[::1]";
	return { kind: "registry", name, transport: loopback ? "loopback" : "https" };
}
