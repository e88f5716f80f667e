/* SPDX-License-Identifier: BSD-3-Clause */
/* Which events an input device has: profiles, lists of codes by their Linux names, and what the
 * configuration space (VIRTIO 1.4, 5.8.4) shows of it. */
#include <endian.h>
#include <errno.h>
#include <libevdev/libevdev.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/input_priv.h"

#define PRESSURE_MAX 255
#define TRACKING_MAX 65535
#define SIDE_MAX     65535u /* pixels */

/* enum virtio_input_config_select */
enum {
	CFG_ID_NAME = 0x01,
	CFG_ID_SERIAL = 0x02,
	CFG_ID_DEVIDS = 0x03,
	CFG_PROP_BITS = 0x10,
	CFG_EV_BITS = 0x11,
	CFG_ABS_INFO = 0x12,
};

const char *const input_profiles[] = { "keyboard", "touchscreen", "rotary", "custom", "host",
	NULL };

/* Types that can be told to a guest: SYN is the device's own, and force feedback needs uploads that
 * VIRTIO has no message for. */
static bool type_supported(unsigned type)
{
	return type != EV_SYN && type != EV_FF && type != EV_FF_STATUS && type != EV_PWR &&
	       type < EV_CNT;
}

int input_code(const char *name, uint16_t *type, uint16_t *code, struct err *e)
{
	int t = libevdev_event_type_from_code_name(name);
	int c = libevdev_event_code_from_code_name(name);

	if (t < 0 || c < 0 || !type_supported((unsigned)t) || (unsigned)c >= INPUT_BITMAP * 8)
		return err_set(e, -EINVAL,
			"'%s' is no event code; wanted is a name of Linux's input-event-codes.h as "
			"KEY_A, BTN_TOUCH, ABS_X, REL_DIAL, SW_LID or LED_CAPSL",
			name);
	*type = (uint16_t)t;
	*code = (uint16_t)c;
	return 0;
}

const char *input_code_name(unsigned type, unsigned code)
{
	const char *name = libevdev_event_code_get_name(type, code);

	return name ? name : "a code without a name";
}

static void have(struct input_caps *c, unsigned type, unsigned code)
{
	input_set_bit(c->codes[type], code, true);
}

static void have_abs(struct input_caps *c, unsigned code, int32_t max)
{
	have(c, EV_ABS, code);
	c->abs[code] = (struct input_absinfo){ .maximum = max };
}

/* All keys of a keyboard that have a name; buttons are behind them. */
static void keyboard(struct input_caps *c)
{
	for (unsigned i = KEY_ESC; i <= KEY_MICMUTE; i++)
		if (libevdev_event_code_get_name(EV_KEY, i))
			have(c, EV_KEY, i);
	for (unsigned i = LED_NUML; i <= LED_SCROLLL; i++)
		have(c, EV_LED, i);
	have(c, EV_REP, REP_DELAY);
	have(c, EV_REP, REP_PERIOD);
}

static int parse_size(const char *text, unsigned *width, unsigned *height, struct err *e)
{
	char rest;

	if (sscanf(text, "%5ux%5u%c", width, height, &rest) != 2 || *width < 2 || *height < 2 ||
		*width > SIDE_MAX || *height > SIDE_MAX)
		return err_set(e, -EINVAL,
			"size is '%s'; wanted is WIDTHxHEIGHT with 2 to %u each, as 1920x720", text,
			SIDE_MAX);
	return 0;
}

/* Contacts by multi-touch protocol B, and the first one as a pointer for programs that know no
 * more (Linux, Documentation/input/multi-touch-protocol.rst). */
static int touchscreen(struct input *in, struct err *e)
{
	struct input_caps *c = &in->caps;
	unsigned width, height;
	int r = parse_size(in->size, &width, &height, e);

	if (r)
		return r;
	have(c, EV_KEY, BTN_TOUCH);
	have_abs(c, ABS_X, (int32_t)width - 1);
	have_abs(c, ABS_Y, (int32_t)height - 1);
	have_abs(c, ABS_MT_SLOT, (int32_t)in->slots - 1);
	have_abs(c, ABS_MT_TRACKING_ID, TRACKING_MAX);
	have_abs(c, ABS_MT_POSITION_X, (int32_t)width - 1);
	have_abs(c, ABS_MT_POSITION_Y, (int32_t)height - 1);
	have_abs(c, ABS_MT_PRESSURE, PRESSURE_MAX);
	input_set_bit(c->props, INPUT_PROP_DIRECT, true);
	return 0;
}

static void rotary(struct input_caps *c)
{
	have(c, EV_REL, REL_DIAL);
	have(c, EV_REL, REL_WHEEL);
	have(c, EV_KEY, KEY_ENTER);
}

static void host(struct input *in)
{
	struct input_caps *c = &in->caps;

	for (unsigned type = 0; type < EV_CNT; type++) {
		int max = type_supported(type) ? libevdev_event_type_get_max(type) : -1;

		for (int code = 0; code <= max; code++)
			if (evdev_has(in->evdev, type, (unsigned)code))
				have(c, type, (unsigned)code);
	}
	for (unsigned prop = 0; prop < INPUT_PROP_CNT; prop++)
		if (evdev_has_property(in->evdev, prop))
			input_set_bit(c->props, prop, true);
	for (unsigned code = 0; code < ABS_CNT; code++)
		if (input_has(c, EV_ABS, code))
			c->abs[code] = evdev_abs(in->evdev, code);
}

/* Lists of codes. */

/* One attribute of an axis, "max=4095". */
static int set_attribute(struct input_absinfo *a, const char *word, struct err *e)
{
	struct {
		const char *name;
		int32_t *value;
	} all[] = { { "min=", &a->minimum }, { "max=", &a->maximum }, { "fuzz=", &a->fuzz },
		{ "flat=", &a->flat }, { "res=", &a->resolution } };

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		size_t len = strlen(all[i].name);
		char *end;
		long v;

		if (strncmp(word, all[i].name, len) != 0)
			continue;
		errno = 0;
		v = strtol(word + len, &end, 0);
		if (end == word + len || *end || errno || v < INT32_MIN || v > INT32_MAX)
			break;
		*all[i].value = (int32_t)v;
		return 0;
	}
	return err_set(e, -EINVAL,
		"'%s' is none of min=, max=, fuzz=, flat= and res= with a number of 32 bits", word);
}

static int add_axis(struct input_caps *c, unsigned code, char *rest, struct err *e)
{
	struct input_absinfo a = { .maximum = INT32_MIN };
	char *save = NULL;
	int r = 0;

	for (char *word = strtok_r(rest, " ", &save); word && !r; word = strtok_r(NULL, " ", &save))
		r = set_attribute(&a, word, e);
	if (!r && a.maximum <= a.minimum)
		r = err_set(e, -EINVAL, "an axis needs a range: ABS_X min=0 max=1023");
	if (!r && code == ABS_MT_SLOT && (a.minimum || a.maximum >= (int32_t)INPUT_SLOTS))
		r = err_set(e, -EINVAL, "at most %u contacts: ABS_MT_SLOT max=%u", INPUT_SLOTS,
			INPUT_SLOTS - 1);
	if (r)
		return r;
	have(c, EV_ABS, code);
	c->abs[code] = a;
	return 0;
}

/* "KEY_POWER", "INPUT_PROP_POINTER" or "ABS_X min=0 max=1023 res=10". */
static int add_code(struct input_caps *c, const char *text, struct err *e)
{
	autofree char *copy = strdup(text);
	char *rest, *name;
	uint16_t type, code;
	int prop, r;

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	name = strtok_r(copy, " ", &rest);
	prop = name ? libevdev_property_from_name(name) : -1;
	if (prop >= 0 && !*rest) {
		input_set_bit(c->props, (unsigned)prop, true);
		return 0;
	}
	r = input_code(name ? name : "", &type, &code, e);
	if (r)
		return r;
	if (type == EV_ABS)
		return add_axis(c, code, rest, e);
	if (*rest)
		return err_set(e, -EINVAL, "%s takes no '%s': only axes have a range", name, rest);
	have(c, type, code);
	return 0;
}

static int take_code(struct input_caps *c, const char *name, struct err *e)
{
	uint16_t type, code;
	int r = input_code(name, &type, &code, e);

	if (!r)
		input_set_bit(c->codes[type], code, false);
	return r;
}

static bool any(const uint8_t map[INPUT_BITMAP])
{
	for (unsigned i = 0; i < INPUT_BITMAP; i++)
		if (map[i])
			return true;
	return false;
}

static int lists(struct input *in, struct err *e)
{
	bool empty = true;
	int r = 0;

	for (unsigned i = 0; i < in->codes.n && !r; i++)
		if ((r = add_code(&in->caps, in->codes.v[i], e)))
			err_prefix(e, "codes has '%s'", in->codes.v[i]);
	for (unsigned i = 0; i < in->without.n && !r; i++)
		if ((r = take_code(&in->caps, in->without.v[i], e)))
			err_prefix(e, "without has '%s'", in->without.v[i]);
	for (unsigned type = EV_SYN + 1; type < EV_CNT; type++)
		empty = empty && !any(in->caps.codes[type]);
	if (!r && empty)
		r = err_set(e, -EINVAL,
			"the device has no events; list some, as codes: [KEY_POWER, \"ABS_X min=0 "
			"max=1023\"], or choose a profile");
	return r;
}

/* Names. */

static int set_string(char to[INPUT_BITMAP + 1], const char *key, const char *text, struct err *e)
{
	size_t len = strlen(text);

	if (len > INPUT_BITMAP)
		return err_set(e, -EINVAL, "%s has %zu bytes; the guest can be told %u", key, len,
			INPUT_BITMAP);
	memcpy(to, text, len + 1);
	return 0;
}

static int identity(struct input *in, struct err *e)
{
	static const char *const names[] = { "avp keyboard", "avp touchscreen",
		"avp rotary controller", "avp input", "avp input" };
	struct input_caps *c = &in->caps;
	unsigned v[4];
	char rest;
	int r;

	c->ids = (struct input_id){ .bustype = BUS_VIRTUAL, .version = 1 };
	if (in->profile == PROFILE_HOST)
		c->ids = evdev_ids(in->evdev);
	if (in->devids &&
		(sscanf(in->devids, "%4x:%4x:%4x:%4x%c", &v[0], &v[1], &v[2], &v[3], &rest) != 4))
		return err_set(e, -EINVAL,
			"devids is '%s'; wanted is BUS:VENDOR:PRODUCT:VERSION, four hexadecimal "
			"numbers as 0018:0416:038f:0001",
			in->devids);
	if (in->devids)
		c->ids = (struct input_id){ (uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2],
			(uint16_t)v[3] };
	r = set_string(c->name, "id-name",
		in->id_name		      ? in->id_name
		: in->profile == PROFILE_HOST ? evdev_name(in->evdev)
					      : names[in->profile],
		e);
	return r ? r
		 : set_string(c->serial, "serial",
			   in->serial			 ? in->serial
			   : in->profile == PROFILE_HOST ? evdev_serial(in->evdev)
							 : "",
			   e);
}

int input_caps_init(struct input *in, struct err *e)
{
	int r = 0;

	if (in->profile == PROFILE_HOST && !in->evdev)
		return err_set(e, -EINVAL,
			"profile host shows what a host's device has: name one, as host: "
			"/dev/input/event3");
	if (in->profile == PROFILE_KEYBOARD)
		keyboard(&in->caps);
	else if (in->profile == PROFILE_TOUCHSCREEN)
		r = touchscreen(in, e);
	else if (in->profile == PROFILE_ROTARY)
		rotary(&in->caps);
	else if (in->profile == PROFILE_HOST)
		host(in);
	if (!r)
		r = lists(in, e);
	have(&in->caps, EV_SYN, SYN_REPORT);
	have(&in->caps, EV_SYN, SYN_DROPPED);
	return r ? r : identity(in, e);
}

/* Configuration space. */

static unsigned put_string(const char *text, uint8_t data[INPUT_BITMAP])
{
	unsigned len = (unsigned)strlen(text);

	memcpy(data, text, len);
	return len;
}

/* As many bytes as the highest bit needs: none for an empty map. */
static unsigned put_bitmap(const uint8_t map[INPUT_BITMAP], uint8_t data[INPUT_BITMAP])
{
	unsigned len = INPUT_BITMAP;

	while (len && !map[len - 1])
		len--;
	memcpy(data, map, len);
	return len;
}

static unsigned put_ids(const struct input_id *ids, uint8_t data[INPUT_BITMAP])
{
	const le16 wire[] = { htole16(ids->bustype), htole16(ids->vendor), htole16(ids->product),
		htole16(ids->version) };

	memcpy(data, wire, sizeof(wire));
	return sizeof(wire);
}

static unsigned put_abs(const struct input_absinfo *a, uint8_t data[INPUT_BITMAP])
{
	const le32 wire[] = { htole32((uint32_t)a->minimum), htole32((uint32_t)a->maximum),
		htole32((uint32_t)a->fuzz), htole32((uint32_t)a->flat),
		htole32((uint32_t)a->resolution) };

	memcpy(data, wire, sizeof(wire));
	return sizeof(wire);
}

unsigned input_config_data(
	const struct input_caps *caps, uint8_t select, uint8_t subsel, uint8_t data[INPUT_BITMAP])
{
	memset(data, 0, INPUT_BITMAP);
	if (select == CFG_EV_BITS)
		return subsel < EV_CNT ? put_bitmap(caps->codes[subsel], data) : 0;
	if (select == CFG_ABS_INFO)
		return input_has(caps, EV_ABS, subsel) ? put_abs(&caps->abs[subsel], data) : 0;
	if (subsel)
		return 0;
	if (select == CFG_ID_NAME)
		return put_string(caps->name, data);
	if (select == CFG_ID_SERIAL)
		return put_string(caps->serial, data);
	if (select == CFG_ID_DEVIDS)
		return put_ids(&caps->ids, data);
	return select == CFG_PROP_BITS ? put_bitmap(caps->props, data) : 0;
}
