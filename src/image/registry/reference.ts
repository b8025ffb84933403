import { type Digest, digestSchema } from "../../core/index.ts";
import { fail } from "./failures.ts";

/** Where an artifact is: `registry.example.org/team/app:1.0`, or with `@sha256:…` instead of a tag, or both. */
export interface RegistryReference {
	/** Host, and port unless it is the usual one. */
	readonly registry: string;
	readonly repository: string;
	readonly tag: string | null;
	/** Of the OCI manifest or index; wins over the tag. */
	readonly digest: Digest | null;
}

const DEFAULT_TAG = "latest";
const MAX_REFERENCE = 512;
/** distribution-spec 1.1, "Pulling manifests": the grammars of <name> and <reference as a tag>. */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::(\d{1,5}))?$/;

/** A reference always names its registry: none is assumed. Throws VouchError `registry-reference-invalid`. */
export function parseRegistryReference(text: string): RegistryReference {
	const invalid = (reason: string) =>
		fail("registry-reference-invalid", { reference: text.slice(0, MAX_REFERENCE), reason });
	if (text.length > MAX_REFERENCE) throw invalid("it is too long");
	const plain = text.replace(/^(?:docker|oci):\/\//, "");
	const slash = plain.indexOf("/");
	const registry = slash === -1 ? "" : plain.slice(0, slash);
	const host = HOST.exec(registry);
	if (host === null || !looksLikeHost(registry)) throw invalid("it does not begin with the host of a registry");
	if (host[1] !== undefined && (Number(host[1]) < 1 || Number(host[1]) > 65535)) throw invalid("its port is not one");
	const [rest = "", digestText, ...more] = plain.slice(slash + 1).split("@");
	const colon = rest.indexOf(":");
	const repository = colon === -1 ? rest : rest.slice(0, colon);
	const tag = colon === -1 ? null : rest.slice(colon + 1);
	if (repository.length > 255 || !REPOSITORY.test(repository))
		throw invalid(`"${repository}" is no name of a repository`);
	if (tag !== null && !TAG.test(tag)) throw invalid(`"${tag}" is no tag`);
	const digest = digestText === undefined ? null : digestSchema.safeParse(digestText);
	if (more.length > 0 || digest?.success === false) throw invalid("what follows the @ is no sha256 digest");
	return { registry, repository, tag: tag ?? (digest === null ? DEFAULT_TAG : null), digest: digest?.data ?? null };
}

/** Of `debian/x` the first part is no host: it has neither dot nor port, and is not the machine itself. */
function looksLikeHost(registry: string): boolean {
	return registry === "localhost" || /[.:]/.test(registry);
}

export function referenceText({ registry, repository, tag, digest }: RegistryReference): string {
	return `${registry}/${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
}

/** What stands in a URL after `manifests/`. */
export function manifestName({ tag, digest }: RegistryReference): string {
	return digest ?? tag ?? DEFAULT_TAG;
}

/** Whether a host, without its port, is this machine by its very spelling. */
export function isLoopback(host: string): boolean {
	return host === "localhost" || host === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Plain HTTP is spoken to this machine alone. */
export function registryUrl({ registry }: RegistryReference): URL {
	return new URL(`${isLoopback(registry.replace(/:\d+$/, "")) ? "http" : "https"}://${registry}/v2/`);
}
