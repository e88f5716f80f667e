/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the small parsers of text: values of keys, frames, numbers, first lines of sockets.
 *
 *     byte 0   which one, modulo their number
 *     then     the text
 */
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "base/util.h"
#include "base/words.h"
#include "fuzz.h"
#include "host/can_frame.h"
#include "host/efivar.h"
#include "host/replay.h"
#include "host/sensor.h"
#include "host/vsock_uds.h"
#include "host/wires.h"

static void numbers(const char *text)
{
	uint64_t v;
	uint32_t n;
	uint8_t mac[6];
	int64_t value[SENSOR_AXES_MAX];
	const char *end;

	opt_parse_size(text, &v);
	opt_parse_time(text, &n);
	opt_parse_mac(text, mac);
	words_number(text, 3, 1000, &v);
	replay_parse_speed(text, &n, NULL);
	if (!replay_parse_seconds(text, &end, &v) && end <= text)
		fuzz_fail("a number without digits");
	for (int exponent = SENSOR_EXPONENT_MIN; exponent <= SENSOR_EXPONENT_MAX; exponent++)
		sensor_parse_value(text, exponent, value, &end);
	sensor_parse_values(text, -2, SENSOR_AXES_MAX, value);
	sensor_parse_unit(text, mac);
}

/* What is read can be written, and reads the same. */
static void frame(const char *text)
{
	struct canfd_frame f = { .len = 0 }, again = { .len = 0 };
	char buf[CAN_LOG_LINE_MAX];
	const char *end;

	if (can_frame_parse(text, &end, &f, NULL))
		return;
	if (end < text || end > text + strlen(text))
		fuzz_fail("a frame ends outside its text");
	if (can_frame_text(buf, sizeof(buf), &f) >= sizeof(buf) ||
		can_frame_parse(buf, &end, &again, NULL) || *end || f.can_id != again.can_id ||
		f.len != again.len || memcmp(f.data, again.data, f.len) != 0)
		fuzz_fail("a frame changes when it is written and read");
	if (can_frame_valid(&f))
		can_frame_bits(&f);
}

static void filters(const char *text)
{
	struct opt_list words = { .n = 0 };
	struct can_filters filters;
	char *copy = strdup(text);

	words.v = &copy;
	words.n = 1;
	if (copy && !can_filters_parse(&filters, &words, "filters", NULL))
		can_filters_pass(&filters, 0x123);
	free(copy);
}

static void asks(const char *text)
{
	struct vsock_ask ask;

	vsock_ask_parse(text, false, &ask);
	vsock_ask_parse(text, true, &ask);
}

/* What is read can be written, and reads the same. */
static void names(const char *text)
{
	struct efi_guid guid, again;
	char buf[EFI_GUID_TEXT];
	autofree uint16_t *wide = efi_from_utf8(text);
	autofree char *back = wide ? efi_to_utf8(wide, efi_strlen(wide)) : NULL;

	if (efi_guid_parse(text, &guid))
		return;
	efi_guid_format(&guid, buf);
	if (efi_guid_parse(buf, &again) || memcmp(&guid, &again, sizeof(guid)) != 0)
		fuzz_fail("a GUID changes when it is written and read");
}

static void net(const char *text)
{
	char name[WIRES_NAME_MAX + 1];
	enum wire_drive drive;
	struct words words;

	wires_check_net(text, name, NULL);
	wire_parse_drive(text, &drive, NULL);
	if (!words_split(&words, text, NULL))
		words_free(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(
		const char *) = { numbers, frame, filters, asks, names, net };
	struct fuzz_in in = { data, size };
	unsigned which = fuzz_u8(&in) % ARRAY_LEN(parsers);
	autofree char *text = fuzz_text(&in);

	if (text)
		parsers[which](text);
	return 0;
}
