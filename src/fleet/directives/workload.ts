export { workingDirectoryOf, workloadOf } from "../../api/index.ts";
