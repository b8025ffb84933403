/**
 * provenance: what an image was made from, and by what, as an in-toto statement.
 */
export { type ImageProvenance, imageProvenanceSchema } from "./schema.ts";
export { makeProvenance, type ProvenanceFacts, provenanceText } from "./statement.ts";
