/* Counts lines, words and bytes of files, or of standard input, and prints JSON. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct counts {
	unsigned long long lines, words, bytes;
};

static int count(FILE *file, struct counts *counts)
{
	int letter, in_word = 0;

	while ((letter = getc(file)) != EOF) {
		counts->bytes++;
		counts->lines += letter == '\n';
		counts->words += !in_word && !isspace(letter);
		in_word = !isspace(letter);
	}
	return ferror(file) ? -1 : 0;
}

static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static int report(const char *path, const char *before)
{
	struct counts counts = { 0 };
	FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;

	if (!file || count(file, &counts)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (file != stdin)
		fclose(file);
	fputs(before, stdout);
	print_quoted(path);
	printf(":{\"lines\":%llu,\"words\":%llu,\"bytes\":%llu}", counts.lines, counts.words, counts.bytes);
	return 0;
}

int main(int argc, char **argv)
{
	int at;

	if (argc < 2 && report("-", "{"))
		return 1;
	for (at = 1; at < argc; at++)
		if (report(argv[at], at == 1 ? "{" : ","))
			return 1;
	puts("}");
	return 0;
}
