/** One synthetic address per name, from 198.18.0.0/15 (RFC 2544): the address tells which name a connection asks for. */
export interface NamePool {
	/** The address of a name, handed out on first use; undefined when the pool's bound is reached. */
	addressOf(name: string): string | undefined;
	nameOf(address: string): string | undefined;
}

export function isSynthetic(address: string): boolean {
	return /^198\.1[89]\./.test(address);
}

export function namePool(maxNames: number): NamePool {
	const addresses = new Map<string, string>();
	const names = new Map<string, string>();
	return {
		addressOf: (name) => {
			const known = addresses.get(name);
			if (known !== undefined) return known;
			if (addresses.size >= maxNames) return undefined;
			// Starts at 198.18.0.1; 131 070 follow, and the bound lies far below.
			const index = addresses.size + 1;
			const address = `198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
			addresses.set(name, address);
			names.set(address, name);
			return address;
		},
		nameOf: (address) => names.get(address),
	};
}
