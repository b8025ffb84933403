/** What the system's error codes mean to whoever gave the path or address. */
const MEANINGS: Readonly<Record<string, string>> = {
	EACCES: "this user may not",
	EADDRINUSE: "another program has that address",
	ECONNREFUSED: "nothing listens there",
	EDQUOT: "this user may keep no more there",
	EEXIST: "it is there already",
	EISDIR: "it is a folder",
	ELOOP: "its links lead in a circle",
	EMFILE: "too many files are open",
	ENAMETOOLONG: "its name is too long",
	ENOENT: "there is nothing at that path",
	ENOSPC: "the disk is full",
	ENOTDIR: "what stands for a folder in it is none",
	EPERM: "this user may not",
	EROFS: "its file system is read-only",
};

/** Why something failed, as words for a sentence: of the system's errors their meaning, of all others the first line. */
export function reasonOf(error: unknown): string {
	const { code = "", message = String(error) } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
	const [firstLine = ""] = message.split("\n");
	return MEANINGS[code] ?? firstLine;
}
