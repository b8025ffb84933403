/** The command table: what there is, and how each command is called. Rows hold data; each loads its action when it runs. */
import type { CommandRow } from "../command.ts";
import { completionRow } from "./completion.row.ts";
import { createRow } from "./create.row.ts";
import { doctorRow } from "./doctor.row.ts";
import {
	imageInspectRow,
	imageListRow,
	imageNameRow,
	imagePruneRow,
	imageRemoveRow,
	imageVerifyRow,
} from "./image.row.ts";
import { imageBuildRow, imageDiffRow, imageRebuildRow } from "./image-build.row.ts";
import { imageExportRow, imageImportRow, imagePullRow, imagePushRow } from "./image-transfer.row.ts";
import { imageWarmRow } from "./image-warm.row.ts";
import { journalVerifyRow } from "./journal.row.ts";
import { keyRotateRow, keyShowRow, keyTrustRow } from "./key.row.ts";
import { policyCheckRow } from "./policy.row.ts";
import { runRow } from "./run.row.ts";
import { logsRow, runsRow, showRow } from "./runs.row.ts";
import { serverRow } from "./server.row.ts";
import { verifyRow } from "./verify.row.ts";

/** Every command, in the order in which help shows them. To add one: docs/checklists/command.md. */
export const rows: readonly CommandRow[] = [
	runRow,
	verifyRow,
	runsRow,
	showRow,
	logsRow,
	createRow,
	imageBuildRow,
	imageListRow,
	imageInspectRow,
	imageVerifyRow,
	imageRebuildRow,
	imageDiffRow,
	imageWarmRow,
	imagePushRow,
	imagePullRow,
	imageExportRow,
	imageImportRow,
	imageNameRow,
	imageRemoveRow,
	imagePruneRow,
	journalVerifyRow,
	keyShowRow,
	keyRotateRow,
	keyTrustRow,
	policyCheckRow,
	serverRow,
	doctorRow,
	completionRow,
];
