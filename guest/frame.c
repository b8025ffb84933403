/* Frames, as generation 1 knows them: every type that a host may send, on which kind of stream, and how long it may be. */
#include "guest.h"

static const struct shape {
	enum { UNKNOWN, ON_CONTROL, ON_STREAM } place;
	uint32_t least, most;
} shapes[FRAME_TYPES] = {
	[HELLO] = { ON_CONTROL, 80, 80 }, [SIGNAL] = { ON_CONTROL, 4, 4 }, [WINDOW_SIZE] = { ON_CONTROL, 4, 4 },
	[PING] = { ON_CONTROL, 0, 64 }, [PONG] = { ON_CONTROL, 0, 64 }, [POWER_OFF] = { ON_CONTROL, 0, 0 },
	[COLLECT] = { ON_CONTROL, 0, 0 }, [DATA] = { ON_STREAM, 0, PAYLOAD_LIMIT }, [CREDIT] = { ON_STREAM, 4, 4 },
	[END] = { ON_STREAM, 0, 0 }, [RESET] = { ON_STREAM, 4, 4 },
};

int frame_read(const uint8_t *bytes, size_t size, struct frame *frame, const char **wrong)
{
	/* What can be judged of an incomplete header is judged: a wrong byte must not wait for the right ones. */
	const struct shape *shape = size >= 1 && bytes[0] < FRAME_TYPES ? &shapes[bytes[0]] : &shapes[0];
	if (size >= 1 && shape->place == UNKNOWN) return *wrong = "a frame of an unknown type", -1;
	if (size >= 4 && (bytes[1] | bytes[2] | bytes[3]) != 0) return *wrong = "a reserved field that is not zero", -1;
	if (size < HEADER_SIZE) return 0;
	*frame = (struct frame){ bytes[0], get32(bytes + 4), get32(bytes + 8), bytes + HEADER_SIZE };
	if (frame->length < shape->least || frame->length > shape->most) return *wrong = "a frame of a wrong length", -1;
	if ((frame->stream == CONTROL) != (shape->place == ON_CONTROL)) return *wrong = "a frame on a wrong stream", -1;
	return size - HEADER_SIZE < frame->length ? 0 : 1;
}
