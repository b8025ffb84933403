import type { Role } from "../../api/people/schema.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import type { Services } from "../services.ts";
import type { Session } from "../store/store.ts";
import type { UserRow } from "../store/tables.ts";
import { issueApiToken, shownToken } from "./api-tokens.ts";
import { shownUser } from "./handlers.ts";
import { blame, type IdentityProvider, type Person } from "./identity-provider.ts";

/** A working day: who signs in tomorrow is asked tomorrow whether they still may. */
const TOKEN_LIFE_SECONDS = 12 * 3600;

/** People who sign in with the company's provider get a token that ends by itself. Who was not added before is refused. */
export function signInHandlers({ identityProvider }: Services) {
	return {
		"signIn.begin": async (_context, { body }) => {
			const { authorizationUrl, signIn } = await mustBeThere(identityProvider).begin(body.redirect_uri);
			return { status: 201, body: { authorization_url: authorizationUrl, sign_in: signIn } };
		},
		"signIn.finish": async ({ store }, { body }) => {
			const person = await mustBeThere(identityProvider).finish(body.sign_in, body.came_back_to);
			return store.transaction(async (session) => {
				const user = await userOf(session, person);
				const { account_id: accountId, id: userId } = user;
				const grant = { accountId, userId, name: "sign-in", role: user.role as Role, lifeSeconds: TOKEN_LIFE_SECONDS };
				const { row, token } = await issueApiToken(session, grant);
				await noteEvent(session, {
					accountId,
					type: "person.signed_in",
					actorUserId: userId,
					payload: { token_id: row.id, subject: person.subject },
				});
				return { status: 201, body: { ...shownToken(row), token, user: shownUser(user) } };
			});
		},
	} as const satisfies Partial<Handlers>;
}

function mustBeThere(provider: IdentityProvider | null): IdentityProvider {
	if (provider === null) throw refusal("no-sign-in");
	return provider;
}

/** Of other letters some fold to ASCII ones too (U+212A to k), and an address with such a letter is somebody else's. */
function asciiLowerCase(text: string): string {
	return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Known by the provider's subject; the first time by a verified email address, which is bound to the subject from then on. */
async function userOf({ db, nowMs }: Session, { subject, email }: Person): Promise<UserRow> {
	const known = await db.selectFrom("users").selectAll().where("oidc_subject", "=", subject).executeTakeFirst();
	if (known !== undefined) {
		if (known.disabled === 1) throw blame("this person is disabled");
		return known;
	}
	if (email === null) throw blame("the provider vouches for no email address of theirs");
	const found = await db
		.selectFrom("users")
		.selectAll()
		.where((is) => is(is.fn<string>("lower", ["email"]), "=", asciiLowerCase(email)))
		.where("oidc_subject", "is", null)
		.where("disabled", "=", 0)
		.execute();
	const [user, another] = found;
	if (user === undefined) throw blame(`an owner must add ${email} first, with \`vouch users add\``);
	if (another !== undefined) throw blame(`${email} is in more than one account`);
	const bound = { oidc_subject: subject, updated_at: nowMs };
	await db.updateTable("users").set(bound).where("id", "=", user.id).execute();
	return { ...user, ...bound };
}
