/* The kernel's command line, which is measured: each word of ours exactly once, and nothing of ours that is not known. */
#include "guest.h"

static const char *read_verity(const char *text, struct verity_words *words)
{
	char blocks[14], start[14];
	int end = 0;
	int count = sscanf(text, "1:sha256:4096:%13[0-9]:%13[0-9]:%128[0-9a-f-]:%64[0-9a-f]%n", blocks, start, words->salt,
	                   words->root_hash, &end);
	if (count != 4 || end == 0 || text[end] != 0 || strlen(words->root_hash) != 64)
		return "vouch.verity is not 1:sha256:4096:BLOCKS:START:SALT:ROOT-HASH";
	if (strcmp(words->salt, "-") != 0 && (strchr(words->salt, '-') != NULL || strlen(words->salt) % 2 != 0))
		return "vouch.verity has a salt that is not 1 to 64 bytes in hexadecimal";
	words->data_blocks = strtoull(blocks, NULL, 10);
	words->hash_start = strtoull(start, NULL, 10);
	if (blocks[0] == '0' || start[0] == '0' || words->hash_start <= words->data_blocks || words->hash_start >> 40 != 0)
		return "vouch.verity has block numbers that cannot be";
	return NULL;
}

const char *command_line_parse(char *text, char rootfs[9], struct verity_words *verity)
{
	bool has_verity = false;
	rootfs[0] = 0;
	/* The kernel lets a quote join words. Ours never hold one, so that there is one way to read them. */
	if (strchr(text, '"') != NULL) return "the command line holds a quote";
	for (char *word; (word = strsep(&text, " \t\n")) != NULL;) {
		if (strncmp(word, "vouch.rootfs=", 13) == 0) {
			if (rootfs[0] != 0) return "vouch.rootfs stands there twice";
			if (strcmp(word + 13, "erofs") != 0 && strcmp(word + 13, "squashfs") != 0)
				return "vouch.rootfs is neither erofs nor squashfs";
			strcpy(rootfs, word + 13);
		} else if (strncmp(word, "vouch.verity=", 13) == 0) {
			if (has_verity) return "vouch.verity stands there twice";
			const char *wrong = read_verity(word + 13, verity);
			if (wrong != NULL) return wrong;
			has_verity = true;
		} else if (strncmp(word, "vouch.", 6) == 0) return "there is a word of Vouch's that is not known";
	}
	return rootfs[0] == 0 ? "vouch.rootfs is missing" : !has_verity ? "vouch.verity is missing" : NULL;
}
