/** The command table: what there is, and how each command is called. Rows hold data; each loads its action when it runs. */
import type { CommandRow } from "../command.ts";
import { agentDoctorRow, agentEnrollRow, agentInstallRow, agentRow } from "./agent.row.ts";
import { artifactsRow } from "./artifacts.row.ts";
import { auditRows } from "./audit.row.ts";
import { commandRows } from "./commands.row.ts";
import { completionRow } from "./completion.row.ts";
import { createRow } from "./create.row.ts";
import { directiveRows } from "./directives.row.ts";
import { doctorRow } from "./doctor.row.ts";
import { entityRows } from "./entities.row.ts";
import { facilityRows } from "./facility.row.ts";
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
import { configRow, loginRow, logoutRow } from "./login.row.ts";
import { policyRows } from "./policies.row.ts";
import { policyCheckRow } from "./policy.row.ts";
import { runRow } from "./run.row.ts";
import { logsRow, runsRow, showRow } from "./runs.row.ts";
import { serverRow } from "./server.row.ts";
import { serverBackupRow, serverRestoreRow, serverRotateKeyRow } from "./server-backup.row.ts";
import { submitRow } from "./submit.row.ts";
import { territoryRows } from "./territories.row.ts";
import { tokenRows } from "./tokens.row.ts";
import { upRow } from "./up.row.ts";
import { userRows } from "./users.row.ts";
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
	loginRow,
	logoutRow,
	submitRow,
	...directiveRows,
	artifactsRow,
	...facilityRows,
	...territoryRows,
	...entityRows,
	...policyRows,
	...auditRows,
	...tokenRows,
	...userRows,
	...commandRows,
	configRow,
	upRow,
	serverRow,
	serverBackupRow,
	serverRestoreRow,
	serverRotateKeyRow,
	agentRow,
	agentEnrollRow,
	agentDoctorRow,
	agentInstallRow,
	doctorRow,
	completionRow,
];
