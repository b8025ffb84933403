/* Setup records: what each kind holds, and which values it may have. */
#include "guest.h"

/*
 * One letter for each field in turn. Numbers: 1 a flag byte, 2 u16, 4 u32, m a mode (u32), 8 u64. Texts: p an absolute
 * path, n one that is not empty, t any, D a device, d a device or none, F a file system. Last of all: l a list of texts, b bytes.
 */
static const char *const layouts[128] = {
	['d'] = "mp", ['f'] = "mpb", ['l'] = "pn", ['r'] = "", ['t'] = "m8p", ['p'] = "", ['y'] = "", ['k'] = "pDF",
	['w'] = "1pDFdl", ['b'] = "pp", ['n'] = "b", ['h'] = "n", ['u'] = "44", ['c'] = "p", ['e'] = "n",
	['a'] = "t", ['m'] = "8888", ['s'] = "b", ['T'] = "22", ['x'] = "",
};

/* Absolute, with no empty part, `.` or `..`: what it names does not depend on how it is walked. */
static bool is_path(const char *text)
{
	if (text[0] != '/' || strlen(text) > 4000) return false;
	for (const char *part = text + 1; text[1] != 0; part++) {
		size_t size = strcspn(part, "/");
		if (size == 0 || size > 255 || (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))) return false;
		if (*(part += size) == 0) break;
	}
	return true;
}

static bool text_fits(char field, const char *text)
{
	char name[21];
	int end = 0;
	switch (field) {
	case 'p': return is_path(text);
	case 'n': return text[0] != 0;
	case 'd': case 'D':
		if (text[0] == 0) return field == 'd';
		return (sscanf(text, "index:%1[0-9]%n", name, &end) == 1 || sscanf(text, "serial:%20[a-z0-9-]%n", name, &end) == 1) &&
		       text[end] == 0;
	case 'F': return strcmp(text, "erofs") == 0 || strcmp(text, "squashfs") == 0 || strcmp(text, "ext4") == 0;
	default: return true;
	}
}

static const char *read_fields(const char *layout, uint8_t *at, uint8_t *end, struct record *record)
{
	for (size_t number = 0, text = 0; *layout != 0; layout++) {
		size_t size = *layout == 'm' ? 4 : *layout <= '8' ? (size_t)(*layout - '0') : 0;
		if (size > (size_t)(end - at)) return "a record that is too short";
		if (size > 0) {
			memcpy(&record->numbers[number], at, size);
			if (*layout == 'm' && record->numbers[number] > 07777) return "a mode that has other bits";
			if (*layout == '1' && record->numbers[number] > 1) return "a flag that is neither 0 nor 1";
			number++;
			at += size;
		} else if (*layout == 'b' || *layout == 'l') {
			record->bytes = at;
			record->size = (size_t)(end - at);
			record->list = *at != 0 ? (const char *)at : NULL;
			record->end = (const char *)(at = end);
		} else {
			/* The last text may come without its NUL: there is one at `end`. */
			const char *word = record->texts[text++] = (const char *)at;
			at += strlen(word) + (at + strlen(word) < end);
			if (!text_fits(*layout, word)) return "a record with a text that it may not have";
		}
	}
	return at == end ? NULL : "a record that is too long";
}

int record_read(uint8_t *bytes, size_t size, struct record *record, size_t *wanted, const char **wrong)
{
	if (size >= 1 && (bytes[0] >= 128 || layouts[bytes[0]] == NULL)) return *wrong = "a record of an unknown kind", -1;
	if (size >= 4 && (bytes[1] | bytes[2] | bytes[3]) != 0) return *wrong = "a record with a reserved field that is not zero", -1;
	*wanted = RECORD_HEADER;
	if (size < RECORD_HEADER) return 0;
	if (get32(bytes + 4) > RECORD_LIMIT) return *wrong = "a record over 1 MiB", -1;
	*wanted += get32(bytes + 4);
	if (size < *wanted) return 0;
	bytes[size] = 0;
	*record = (struct record){ .kind = (char)bytes[0] };
	*wrong = read_fields(layouts[bytes[0]], bytes + RECORD_HEADER, bytes + size, record);
	return *wrong == NULL ? 1 : -1;
}

const char *list_next(const struct record *record, const char *text)
{
	text += strlen(text) + 1;
	return text < record->end && *text != 0 ? text : NULL;
}

bool listener_read(const uint8_t *bytes, size_t size, struct sockaddr_in6 *address)
{
	if (size < LISTENER_SIZE || get16(bytes) == 0) return false;
	*address = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(get16(bytes)) };
	memcpy(&address->sin6_addr, bytes + 2, sizeof address->sin6_addr);
	bool four = IN6_IS_ADDR_V4MAPPED(&address->sin6_addr);
	return four ? address->sin6_addr.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&address->sin6_addr);
}
