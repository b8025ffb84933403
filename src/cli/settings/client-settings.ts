import { z } from "zod";
import { type SettingsTable, setting } from "./settings.ts";

/** What the commands that ask a control plane can be told. A token is never a flag: other users see those. */
export const clientSettings = {
	server: setting({
		key: "server",
		flag: "--server",
		environment: "VOUCH_SERVER",
		schema: z.string().max(2048),
		standard: "",
		reason: "empty is the server of the latest `vouch login`",
	}),
	tokenFile: setting({
		key: "token_file",
		flag: null,
		environment: "VOUCH_TOKEN_FILE",
		schema: z.string().max(4096),
		standard: "",
		reason: "empty is the token that `vouch login` kept; a file that others may read is refused",
	}),
	token: setting({
		key: "token",
		flag: null,
		environment: "VOUCH_TOKEN",
		schema: z.string().max(4096),
		standard: "",
		reason: "for CI systems that hand out secrets as variables; it wins over a file",
		secret: "secret",
	}),
	ca: setting({
		key: "ca",
		flag: null,
		environment: "VOUCH_SERVER_CA",
		schema: z.string().max(4096),
		standard: "",
		reason: "PEM file of one more authority to trust; empty is what `vouch login --ca` kept",
	}),
} as const satisfies SettingsTable;
