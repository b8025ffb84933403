import { z } from "zod";
import { wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { READERS } from "./callers.ts";

const API = "/mothership/api/v1";
const token = z.object({ token_id: wireIdSchema });
const user = z.object({ user_id: wireIdSchema });

/** Who people are, and the tokens of their programs. */
export const accountOperations = {
	"signIn.begin": operation({
		summary: "Begins signing in with the identity provider: says where to send a browser",
		method: "POST",
		route: `${API}/sign_in`,
		effect: "read",
		callers: ["anyone"],
		body: people.signInRequestSchema,
		answers: { 201: people.signInBegunSchema },
		failures: ["no-sign-in", "sign-in-refused", "not-ready", "validation-failed"],
		rate: "sign-in",
		command: { words: ["login"], operands: [] },
	}),
	"signIn.finish": operation({
		summary: "Finishes signing in: gives a token to who came back from the identity provider",
		method: "POST",
		route: `${API}/sign_in/finish`,
		effect: "change",
		callers: ["anyone"],
		body: people.signInFinishSchema,
		answers: { 201: people.signedInSchema },
		failures: ["no-sign-in", "sign-in-refused", "not-ready", "validation-failed"],
		rate: "sign-in",
		command: { words: ["login"], operands: [] },
	}),
	"account.whoami": operation({
		summary: "Says whose credential this is and what it may do",
		method: "GET",
		route: `${API}/whoami`,
		effect: "read",
		callers: READERS,
		answers: {
			200: z.object({
				account_id: wireIdSchema,
				account_name: z.string(),
				user: people.userSchema,
				role: z.enum(people.ROLES),
			}),
		},
		rate: "people",
		command: { words: ["whoami"], operands: [] },
	}),
	"users.list": operation({
		summary: "Lists the people of the account",
		method: "GET",
		route: `${API}/users`,
		effect: "read",
		callers: ["owner", "operator", "auditor"],
		query: people.pageQuerySchema.extend({
			role: z.enum(people.ROLES).optional(),
			email: z.string().max(255).optional(),
			disabled: z.stringbool().optional(),
		}),
		answers: { 200: people.pageOf("users", people.userSchema) },
		rate: "people",
		command: { words: ["users"], operands: [] },
	}),
	"users.create": operation({
		summary: "Adds a person to the account",
		method: "POST",
		route: `${API}/users`,
		effect: "change",
		idempotency: "key",
		callers: ["owner"],
		body: people.userRequestSchema,
		answers: { 201: people.userSchema },
		failures: ["validation-failed", "state-conflict", "idempotency-conflict"],
		rate: "people",
		command: { words: ["users", "add"], operands: [] },
	}),
	"users.change": operation({
		summary: "Changes a person's name or role, or disables them",
		method: "PATCH",
		route: `${API}/users/{user_id}`,
		effect: "change",
		idempotency: "natural",
		callers: ["owner"],
		path: user,
		body: people.userChangeSchema,
		answers: { 200: people.userSchema },
		failures: ["not-found", "validation-failed", "state-conflict"],
		rate: "people",
		command: { words: ["users", "change"], operands: ["user_id"] },
	}),
	"tokens.list": operation({
		summary: "Lists API tokens: one's own, or all of them for an owner",
		method: "GET",
		route: `${API}/tokens`,
		effect: "read",
		callers: READERS,
		query: people.pageQuerySchema.extend({
			user_id: wireIdSchema.optional(),
			/** Neither expired nor revoked. */
			usable: z.stringbool().optional(),
		}),
		answers: { 200: people.pageOf("tokens", people.apiTokenSchema) },
		rate: "people",
		command: { words: ["tokens"], operands: [] },
	}),
	"tokens.create": operation({
		summary: "Makes an API token; it is shown this once",
		method: "POST",
		route: `${API}/tokens`,
		effect: "change",
		callers: READERS,
		body: people.apiTokenRequestSchema,
		answers: { 201: people.apiTokenCreatedSchema },
		failures: ["validation-failed", "forbidden", "not-found"],
		rate: "people",
		command: { words: ["tokens", "create"], operands: [] },
	}),
	"tokens.revoke": operation({
		summary: "Revokes an API token",
		method: "DELETE",
		route: `${API}/tokens/{token_id}`,
		effect: "destroy",
		idempotency: "natural",
		callers: READERS,
		path: token,
		answers: { 200: people.apiTokenSchema },
		failures: ["not-found", "forbidden"],
		rate: "people",
		command: { words: ["tokens", "revoke"], operands: ["token_id"] },
	}),
};
