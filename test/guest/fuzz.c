/*
 * The guest's parsers outside of a guest, for their fuzz test: reads cases from standard input, each `u8 parser, u32 size,
 * bytes`, and answers each with one line. Built with AddressSanitizer and UndefinedBehaviorSanitizer. Every case lies in
 * memory of exactly its size, so that a byte read too far is found.
 */
#include "../../guest/guest.h"

static void frames(const uint8_t *bytes, size_t size)
{
	struct frame frame;
	const char *wrong = "";
	size_t at = 0, count = 0;
	int whole;
	while ((whole = frame_read(bytes + at, size - at, &frame, &wrong)) == 1) {
		/* Read to the last byte, as whoever takes the frame does. */
		volatile uint8_t sum = 0;
		for (uint32_t i = 0; i < frame.length; i++) sum ^= frame.payload[i];
		at += HEADER_SIZE + frame.length;
		count++;
	}
	printf("%d %zu %s\n", whole, count, whole < 0 ? wrong : "");
}

static void command_line(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), rootfs[9];
	struct verity_words words = { 0 };
	memcpy(text, bytes, size);
	text[size] = 0;
	const char *wrong = command_line_parse(text, rootfs, &words);
	if (wrong != NULL) printf("refused %s\n", wrong);
	else printf("accepted %s %llu %llu %s %s\n", rootfs, (unsigned long long)words.data_blocks, (unsigned long long)words.hash_start,
	            words.salt, words.root_hash);
	free(text);
}

static void use(const struct record *record)
{
	volatile size_t sum = 0;
	for (size_t i = 0; i < COUNT(record->texts); i++)
		if (record->texts[i] != NULL) sum += strlen(record->texts[i]);
	for (const char *text = record->list; text != NULL; text = list_next(record, text)) sum += strlen(text);
	for (size_t i = 0; i < record->size; i++) sum += record->bytes[i];
}

/* As setup.c puts records together: as many bytes as are wanted, never more. */
static void records(const uint8_t *bytes, size_t size)
{
	size_t at = 0, count = 0, used = 0, wanted = 0;
	const char *wrong = "";
	uint8_t *record_bytes = malloc(1);
	struct record record;
	int whole;
	for (;;) {
		whole = record_read(record_bytes, used, &record, &wanted, &wrong);
		if (whole < 0 || (whole == 0 && wanted - used > size - at)) break;
		if (whole == 1) {
			use(&record);
			count++;
			used = 0;
			continue;
		}
		record_bytes = realloc(record_bytes, wanted + 1);
		memcpy(record_bytes + used, bytes + at, wanted - used);
		at += wanted - used;
		used = wanted;
	}
	printf("%d %zu %s\n", whole, count, whole < 0 ? wrong : "");
	free(record_bytes);
}

static void listener(const uint8_t *bytes, size_t size)
{
	struct sockaddr_in6 address;
	printf("%d\n", listener_read(bytes, size, &address));
}

int main(void)
{
	uint8_t head[5];
	while (fread(head, 1, sizeof head, stdin) == sizeof head) {
		uint32_t size = get32(head + 1);
		uint8_t *bytes = malloc(size == 0 ? 1 : size);
		if (fread(bytes, 1, size, stdin) != size) return 1;
		if (head[0] == 0) frames(bytes, size);
		else if (head[0] == 1) command_line(bytes, size);
		else if (head[0] == 2) records(bytes, size);
		else listener(bytes, size);
		free(bytes);
	}
	return 0;
}
