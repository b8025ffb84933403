import { isIPv4, isIPv6 } from "node:net";

/** Groups of an IPv6 address that are a site's own choice: who has one has 2^64 of them. */
const SITE_GROUPS = 4;

/** Whose address it is, for limits: an IPv4 address itself, also where it is written as IPv6; of IPv6 its network of 64 bits. */
export function networkOf(address: string): string {
	const [plain = ""] = address.toLowerCase().split("%", 1);
	const mapped = /^::ffff:([\d.]+)$/.exec(plain)?.[1];
	if (mapped !== undefined && isIPv4(mapped)) return mapped;
	if (!isIPv6(plain)) return address;
	const [head = "", tail] = plain.split("::");
	const groups = (text = "") => text.split(":").filter((group) => group !== "");
	const before = groups(head);
	const after = groups(tail);
	const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
	const all = [...before, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after];
	const site = all.slice(0, SITE_GROUPS).map((group) => group.replace(/^0+(?=.)/, ""));
	return `${site.join(":")}::/64`;
}
