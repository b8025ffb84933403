/**
 * export: images as files, for a person, another machine or another program: a folder, an OCI layout, a tar of one.
 *
 * Hides     the OCI documents, how parts are cut into layers, and everything that a file from elsewhere can be wrong about.
 * Promises  the same image gives the same bytes; what is imported is checked whole before it is in the store.
 * Never     writes outside of the folder it was given, and never follows a link in what it reads.
 * Start at  `artifact.ts`, an image as an OCI artifact; then `image-document.ts`.
 */
export {
	type Artifact,
	type Descriptor,
	descriptorOf,
	INDEX_TYPE,
	type IndexEntry,
	isIndex,
	MANIFEST_TYPE,
	type Piece,
	partFileName,
	piecesOf,
	readArtifact,
	readIndex,
	writeArtifact,
	writeIndex,
} from "./artifact.ts";
export { EXPORT_FORMS, type ExportForm, type ExportOptions, exportImage } from "./export-image.ts";
export { contradictionsOf, ForeignImage, imageDocumentOf, PART_NAMES, readImageDocument } from "./image-document.ts";
export { type ImportedImage, type ImportOptions, importImages } from "./import-images.ts";
export { assemblePart, readPieces } from "./pieces.ts";
// An image for tests, of other folders too.
export { addSampleImage, type SampleOptions } from "./sample-image.ts";
