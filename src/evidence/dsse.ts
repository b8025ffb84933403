import { bytesFromBase64, concatBytes, toBase64, utf8 } from "../core/index.ts";
import type { PublicKey, Signer } from "./keys.ts";

/** Dead Simple Signing Envelope v1.0.0, with exactly one signature and standard base64 alone. */
export type Envelope<PayloadType extends string> = {
	payloadType: PayloadType;
	/** Base64 of the signed bytes. */
	payload: string;
	signatures: [{ keyid: PublicKey["keyId"]; sig: string }];
};

/** The bytes that are signed: PAE of DSSE protocol section "Signature Definition". */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
	const type = utf8(payloadType);
	const head = concatBytes(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `));
	return concatBytes(head, payload);
}

export function signEnvelope<PayloadType extends string>(
	payloadType: PayloadType,
	payload: Uint8Array,
	signer: Signer,
): Envelope<PayloadType> {
	const signature = signer.sign(preAuthenticationEncoding(payloadType, payload));
	return {
		payloadType,
		payload: toBase64(payload),
		signatures: [{ keyid: signer.publicKey.keyId, sig: toBase64(signature) }],
	};
}

/** The signed bytes when the one signature is this key's; undefined for anything else, a second signature included. */
export function openEnvelope(
	envelope: {
		readonly payloadType: string;
		readonly payload: string;
		readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
	},
	key: PublicKey,
): Uint8Array | undefined {
	const [signature, ...others] = envelope.signatures;
	if (signature === undefined || others.length > 0 || signature.keyid !== key.keyId) return undefined;
	const payload = bytesFromBase64(envelope.payload);
	const signed = bytesFromBase64(signature.sig);
	if (payload === undefined || signed === undefined) return undefined;
	return key.verifies(preAuthenticationEncoding(envelope.payloadType, payload), signed) ? payload : undefined;
}
