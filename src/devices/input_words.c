/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator says (`avp tell ivi/input0 tap 100 200`), and scripts: the same words with times
 * before them, or what evemu-record wrote. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/input_priv.h"

#define WORDS_MAX    16u
#define PRESSURE     100 /* of a touch that says none */
#define TRACKING_IDS 65536u
#define HELP                                                                                       \
	"wanted is one of: key NAME [down|up], tap X Y, touch X Y [SLOT], lift [SLOT], "           \
	"turn STEPS, set NAME VALUE..., replay [start|stop], state"

static void add(struct input_list *l, unsigned type, unsigned code, int32_t value)
{
	if (l->n < INPUT_WORDS_MAX)
		l->v[l->n++] = (struct input_ev){ (uint16_t)type, (uint16_t)code, value };
}

static void end(struct input_list *l)
{
	add(l, EV_SYN, SYN_REPORT, 0);
}

/* A number from min to max. */
static int number(const char *what, const char *text, long min, long max, int32_t *v, struct err *e)
{
	char *rest;
	long n;

	errno = 0;
	n = strtol(text, &rest, 0);
	if (rest == text || *rest || errno || n < min || n > max)
		return err_set(e, -EINVAL, "%s is '%s'; wanted is a number from %ld to %ld", what,
			text, min, max);
	*v = (int32_t)n;
	return 0;
}

/* A code that this device has. */
static int code_of(
	const struct input *in, const char *name, uint16_t *type, uint16_t *code, struct err *e)
{
	int r = input_code(name, type, code, e);

	if (!r && !input_has(&in->caps, *type, *code))
		r = err_set(e, -EINVAL, "this device has no %s", name);
	return r;
}

static int key(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	const char *how = argc == 3 ? argv[2] : "";
	bool down = !strcmp(how, "down"), up = !strcmp(how, "up");
	uint16_t type, code;
	int r;

	if (argc < 2 || argc > 3 || (argc == 3 && !down && !up))
		return err_set(e, -EINVAL, "wanted is: key NAME [down|up]");
	r = code_of(in, argv[1], &type, &code, e);
	if (r)
		return r;
	if (type != EV_KEY)
		return err_set(e, -EINVAL, "%s is no key; say: set %s VALUE", argv[1], argv[1]);
	if (!up) {
		add(l, type, code, 1);
		end(l);
	}
	if (!down) {
		add(l, type, code, 0);
		end(l);
	}
	return 0;
}

/* Contacts. */

static int32_t tracking_id(const struct input *in, unsigned slot)
{
	return in->now.mt[slot][ABS_MT_TRACKING_ID - INPUT_MT_FIRST];
}

static unsigned slots_of(const struct input *in)
{
	if (!input_has(&in->caps, EV_ABS, ABS_MT_SLOT))
		return 1;
	return (unsigned)min_u64((uint64_t)in->caps.abs[ABS_MT_SLOT].maximum + 1, INPUT_SLOTS);
}

/* Contacts other than this one. */
static bool others(const struct input *in, unsigned slot)
{
	for (unsigned i = 0; i < slots_of(in); i++)
		if (i != slot && tracking_id(in, i) >= 0)
			return true;
	return false;
}

/* One position axis: the contact's, and the pointer's if this is the only contact. */
static void position(const struct input *in, struct input_list *l, unsigned mt, unsigned pointer,
	int32_t value, bool only)
{
	if (input_has(&in->caps, EV_ABS, mt))
		add(l, EV_ABS, mt, value);
	if (only && input_has(&in->caps, EV_ABS, pointer))
		add(l, EV_ABS, pointer, value);
}

static void add_touch(struct input *in, struct input_list *l, unsigned slot, int32_t x, int32_t y)
{
	bool mt = input_has(&in->caps, EV_ABS, ABS_MT_SLOT), only = !others(in, slot);

	if (mt)
		add(l, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
	if (mt && tracking_id(in, slot) < 0)
		add(l, EV_ABS, ABS_MT_TRACKING_ID,
			(int32_t)((in->contacts + l->contacts++) % TRACKING_IDS));
	position(in, l, ABS_MT_POSITION_X, ABS_X, x, only);
	position(in, l, ABS_MT_POSITION_Y, ABS_Y, y, only);
	position(in, l, ABS_MT_PRESSURE, ABS_PRESSURE, PRESSURE, only);
	if (only && input_has(&in->caps, EV_KEY, BTN_TOUCH))
		add(l, EV_KEY, BTN_TOUCH, 1);
	end(l);
}

static void add_lift(struct input *in, struct input_list *l, unsigned slot)
{
	if (input_has(&in->caps, EV_ABS, ABS_MT_SLOT)) {
		add(l, EV_ABS, ABS_MT_SLOT, (int32_t)slot);
		add(l, EV_ABS, ABS_MT_TRACKING_ID, -1);
	}
	if (others(in, slot)) {
		end(l);
		return;
	}
	if (input_has(&in->caps, EV_ABS, ABS_PRESSURE))
		add(l, EV_ABS, ABS_PRESSURE, 0);
	if (input_has(&in->caps, EV_KEY, BTN_TOUCH))
		add(l, EV_KEY, BTN_TOUCH, 0);
	end(l);
}

static int coordinate(const struct input *in, const char *what, const char *text, unsigned mt,
	unsigned pointer, int32_t *v, struct err *e)
{
	unsigned code = input_has(&in->caps, EV_ABS, mt) ? mt : pointer;
	const struct input_absinfo *a = &in->caps.abs[code];

	if (!input_has(&in->caps, EV_ABS, code))
		return err_set(e, -EINVAL, "this device cannot be touched: it has no %s",
			input_code_name(EV_ABS, code));
	return number(what, text, a->minimum, a->maximum, v, e);
}

static int slot_of(const struct input *in, const char *text, int32_t *slot, struct err *e)
{
	return number("the slot", text, 0, (long)slots_of(in) - 1, slot, e);
}

static int touch(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	bool tap = !strcmp(argv[0], "tap");
	int32_t x, y, slot = 0;
	int r;

	if (argc < 3 || argc > (tap ? 3u : 4u))
		return err_set(e, -EINVAL, "wanted is: tap X Y, or touch X Y [SLOT]");
	r = coordinate(in, "X", argv[1], ABS_MT_POSITION_X, ABS_X, &x, e);
	if (!r)
		r = coordinate(in, "Y", argv[2], ABS_MT_POSITION_Y, ABS_Y, &y, e);
	if (!r && argc == 4)
		r = slot_of(in, argv[3], &slot, e);
	while (!r && tap && slot + 1 < (int32_t)slots_of(in) &&
		tracking_id(in, (unsigned)slot) >= 0)
		slot++;
	if (r)
		return r;
	add_touch(in, l, (unsigned)slot, x, y);
	if (tap)
		add_lift(in, l, (unsigned)slot);
	return 0;
}

static int lift(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	int32_t slot = 0;
	int r = argc > 2 ? err_set(e, -EINVAL, "wanted is: lift [SLOT]") : 0;

	if (!r && argc == 2)
		r = slot_of(in, argv[1], &slot, e);
	if (!r)
		add_lift(in, l, (unsigned)slot);
	return r;
}

static int turn(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	static const uint16_t wheels[] = { REL_DIAL, REL_WHEEL, REL_HWHEEL };
	int32_t steps;
	int r;

	if (argc != 2)
		return err_set(e, -EINVAL, "wanted is: turn STEPS, as turn +3 or turn -1");
	r = number("the steps", argv[1], -1000, 1000, &steps, e);
	for (unsigned i = 0; !r && i < ARRAY_LEN(wheels); i++) {
		if (!input_has(&in->caps, EV_REL, wheels[i]))
			continue;
		add(l, EV_REL, wheels[i], steps);
		end(l);
		return 0;
	}
	return r ? r : err_set(e, -EINVAL, "this device cannot be turned: it has no REL_DIAL");
}

/* One update of any events. */
static int set(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	uint16_t type, code;
	int32_t value;
	int r = 0;

	if (argc < 3 || argc % 2 == 0)
		return err_set(e, -EINVAL, "wanted is: set NAME VALUE [NAME VALUE]...");
	for (unsigned i = 1; i + 1 < argc && !r; i += 2) {
		r = code_of(in, argv[i], &type, &code, e);
		if (!r)
			r = number("the value", argv[i + 1], INT32_MIN, INT32_MAX, &value, e);
		if (!r)
			add(l, type, code, value);
	}
	if (!r)
		end(l);
	return r;
}

int input_words(struct input *in, unsigned argc, char **argv, struct input_list *l, struct err *e)
{
	static const struct {
		const char *name;
		int (*parse)(struct input *in, unsigned argc, char **argv, struct input_list *l,
			struct err *e);
	} words[] = { { "key", key }, { "tap", touch }, { "touch", touch }, { "lift", lift },
		{ "turn", turn }, { "set", set } };

	*l = (struct input_list){ 0 };
	for (unsigned i = 0; argc && i < ARRAY_LEN(words); i++)
		if (!strcmp(argv[0], words[i].name))
			return words[i].parse(in, argc, argv, l, e);
	return err_set(e, -EINVAL, "'%s': " HELP, argc ? argv[0] : "");
}

/* Scripts. */

/* A line as it was read: what `touch` means is known when it is due. */
struct script_line {
	char text[INPUT_LINE_MAX];
};

/* "0003 0039 0012" behind the time of an evemu recording: type and code in hexadecimal. */
static int evemu_event(const char *text, struct input_list *l, struct err *e)
{
	unsigned type, code;
	int32_t value;

	if (sscanf(text, " %4x %4x %" SCNd32, &type, &code, &value) != 3)
		return err_set(e, -EINVAL,
			"an event of evemu is: E: SECONDS TYPE CODE VALUE, with type and code in "
			"hexadecimal");
	*l = (struct input_list){ 0 };
	add(l, type, code, value);
	return 0;
}

static int plain_words(struct input *in, char *text, struct input_list *l, struct err *e)
{
	char *argv[WORDS_MAX], *save = NULL;
	unsigned argc = 0;

	for (char *w = strtok_r(text, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (argc == WORDS_MAX)
			return err_set(e, -EINVAL, "more than %u words", WORDS_MAX);
		argv[argc++] = w;
	}
	return input_words(in, argc, argv, l, e);
}

/* What follows the time. */
static int script_words(
	struct input *in, const char *line, uint64_t *time_ns, struct input_list *l, struct err *e)
{
	bool evemu = !strncmp(line, "E:", 2);
	char words[INPUT_LINE_MAX];
	const char *rest;

	for (line += evemu ? 2 : 0; *line == ' ' || *line == '\t'; line++)
		;
	if (replay_parse_seconds(line, &rest, time_ns) || (*rest != ' ' && *rest != '\t'))
		return err_set(e, -EINVAL,
			"a line begins with seconds, as in: 1.250 tap 100 200; or it is one of "
			"evemu's");
	if (evemu)
		return evemu_event(rest, l, e);
	snprintf(words, sizeof(words), "%s", rest);
	return plain_words(in, words, l, e);
}

/* evemu describes the device in lines that begin with a letter and a colon. */
static bool says_nothing(const char *line)
{
	line += strspn(line, " \t");
	return !*line || *line == '#' ||
	       (isupper((unsigned char)*line) && *line != 'E' && line[1] == ':');
}

static int script_parse(
	void *arg, char *line, unsigned number_, void *record, uint64_t *time_ns, struct err *e)
{
	struct script_line *keep = record;
	struct input_list list;
	char *comment = strchr(line, '#');
	size_t len;
	int r;

	if (comment)
		*comment = 0;
	if (says_nothing(line))
		return 0;
	len = strlen(line);
	if (len >= sizeof(keep->text))
		return err_set(e, -EINVAL, "the line has %zu bytes; at most %zu are possible", len,
			sizeof(keep->text) - 1);
	r = script_words(arg, line, time_ns, &list, e);
	if (r)
		return r;
	memcpy(keep->text, line, len + 1);
	return 1;
}

static void script_due(void *arg, const void *record)
{
	const struct script_line *line = record;
	struct input_list list;
	uint64_t time_ns;

	if (!script_words(arg, line->text, &time_ns, &list, NULL))
		input_feed_list(arg, &list);
}

static const struct replay_ops script_ops = {
	.record_size = sizeof(struct script_line),
	.parse = script_parse,
	.due = script_due,
};

int input_script_open(struct input *in, struct err *e)
{
	return replay_open(&in->replay, &in->script, &script_ops, in, in->dev.loop, in->dev.log, e);
}

/* The operator. */

static void show_bits(FILE *f, const struct input *in, unsigned type, const uint8_t *map)
{
	for (unsigned i = 0; i < KEY_CNT; i++)
		if (input_has(&in->caps, type, i) && input_bit(map, i))
			fprintf(f, " %s", input_code_name(type, i));
}

static void show_script(FILE *f, const struct input *in)
{
	fprintf(f, "script: %zu of %zu lines%s\n", replay_position(in->replay),
		replay_count(in->replay), replay_playing(in->replay) ? "" : ", not playing");
}

static void show_state(FILE *f, const struct input *in)
{
	fprintf(f, "%s: held:", in->caps.name);
	show_bits(f, in, EV_KEY, in->now.keys);
	fprintf(f, "; switched on:");
	show_bits(f, in, EV_SW, in->now.switches);
	fprintf(f, "; LEDs:");
	show_bits(f, in, EV_LED, in->leds);
	fprintf(f, "\n");
	for (unsigned i = 0; i < slots_of(in); i++)
		if (tracking_id(in, i) >= 0)
			fprintf(f, "contact %u at %d %d\n", i,
				in->now.mt[i][ABS_MT_POSITION_X - INPUT_MT_FIRST],
				in->now.mt[i][ABS_MT_POSITION_Y - INPUT_MT_FIRST]);
	if (in->replay)
		show_script(f, in);
}

static int replay_command(struct input *in, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	if (!in->replay)
		return err_set(e, -EINVAL, "there is no script: replay is not set");
	if (argc == 2 && !strcmp(argv[1], "start"))
		replay_start(in->replay);
	else if (argc == 2 && !strcmp(argv[1], "stop"))
		replay_stop(in->replay);
	else if (argc != 1)
		return err_set(e, -EINVAL, "wanted is: replay [start|stop]");
	show_script(answer, in);
	return 0;
}

int input_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct input *in = container_of(dev, struct input, dev);
	struct input_list list;
	int r;

	if (argc == 1 && !strcmp(argv[0], "state")) {
		show_state(answer, in);
		return 0;
	}
	if (argc && !strcmp(argv[0], "replay"))
		return replay_command(in, argc, argv, answer, e);
	r = input_words(in, argc, argv, &list, e);
	if (r)
		return r;
	input_feed_list(in, &list);
	fprintf(answer, "%u events%s\n", list.n,
		dev->status & VIRTIO_S_DRIVER_OK ? "" : "; the guest's driver is not ready");
	return 0;
}
