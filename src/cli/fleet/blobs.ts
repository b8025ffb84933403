import { join } from "node:path";
import { type BlobStore, DirectoryBlobs, S3Blobs } from "../../fleet/index.ts";
import { fail } from "../failures.ts";
import type { ServerSettings } from "../settings/server-settings.ts";

/** Where a control plane keeps diffs, receipts and attachments: a folder of its own, or a bucket. */
export function blobsOf(settings: ServerSettings, directory: string): BlobStore {
	if (settings.blobs === "") return new DirectoryBlobs(join(directory, "blobs"));
	const { hostname: bucket, pathname } = new URL(settings.blobs);
	const prefix = pathname.replace(/^\/+|\/+$/g, "");
	const { blobsRegion: region, blobsAccessKeyId: accessKeyId, blobsSecretAccessKey: secretAccessKey } = settings;
	if (accessKeyId === "" || secretAccessKey === "")
		throw fail("cli.settings-invalid", {
			problems: "blobs.url is s3://…, which needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		});
	return new S3Blobs({
		endpoint: settings.blobsEndpoint || `https://s3.${region}.amazonaws.com`,
		region,
		bucket,
		prefix: prefix === "" ? "" : `${prefix}/`,
		accessKeyId,
		secretAccessKey,
	});
}
