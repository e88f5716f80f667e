/* SPDX-License-Identifier: BSD-3-Clause */
/* Voltage domain management protocol (SCMI 4.9): levels from a list or a range, on and off. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_priv.h"

#define VERSION 0x20001u

#define DOMAIN_ATTRIBUTES 0x3
#define DESCRIBE_LEVELS	  0x4
#define CONFIG_SET	  0x5
#define CONFIG_GET	  0x6
#define LEVEL_SET	  0x7
#define LEVEL_GET	  0x8
#define DOMAIN_NAME_GET	  0x9

#define ATTR_ASYNC (1u << 31)
#define ATTR_NAME  (1u << 30)

#define LEVELS_RANGE (1u << 12)
#define REMAIN_SHIFT 16

/* Architectural modes (SCMI 4.9.2.6). */
#define MODE_OFF 0u
#define MODE_ON	 7u

#define FLAG_ASYNC 1u

#define LEVELS_MAX     64u
#define LATENCY_MAX_US 10000000u

struct voltage {
	struct scmi_res res;
	int64_t levels[LEVELS_MAX]; /* microvolts, ascending; of a range: lowest, highest, step */
	unsigned nlevels;
	bool range;
	int32_t level;
	uint32_t initial, mode;
	uint32_t latency_us; /* of an asynchronous change */
};

static struct voltage *to_voltage(const struct scmi_res *res)
{
	return container_of(res, struct voltage, res);
}

static bool is_level(const struct voltage *v, int64_t level)
{
	if (v->range)
		return level >= v->levels[0] && level <= v->levels[1] &&
		       (level - v->levels[0]) % v->levels[2] == 0;
	for (unsigned i = 0; i < v->nlevels; i++)
		if (v->levels[i] == level)
			return true;
	return false;
}

/* VOLTAGE_LEVEL_SET_COMPLETE */
static int32_t complete(struct scmi_msg *m)
{
	struct voltage *v = to_voltage(m->res);

	v->level = (int32_t)scmi_param(m, 2);
	scmi_put(m, m->id);
	scmi_put(m, (uint32_t)v->level);
	return SCMI_SUCCESS;
}

static int32_t level_set(struct scmi_msg *m)
{
	struct voltage *v = to_voltage(m->res);
	uint32_t flags = scmi_param(m, 1);
	int32_t level = (int32_t)scmi_param(m, 2);

	if (flags & ~FLAG_ASYNC)
		return SCMI_INVALID_PARAMETERS;
	if (!is_level(v, level))
		return SCMI_OUT_OF_RANGE;
	if (flags & FLAG_ASYNC)
		return scmi_later(m, v->latency_us * UINT64_C(1000), complete, true);
	v->level = level;
	return SCMI_SUCCESS;
}

static int32_t level_get(struct scmi_msg *m)
{
	scmi_put(m, (uint32_t)to_voltage(m->res)->level);
	return SCMI_SUCCESS;
}

/* On as long as one agent wants it; as at first as long as nobody said anything. */
static void update_mode(struct voltage *v)
{
	bool asked = false, on = false;

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(&v->res, id);

		asked |= g && g->voted;
		on |= g && g->voted && g->vote[0] == MODE_ON;
	}
	v->mode = !asked ? v->initial : on ? MODE_ON : MODE_OFF;
}

static int32_t config_set(struct scmi_msg *m)
{
	uint32_t mode = scmi_param(m, 1);

	if (mode != MODE_ON && mode != MODE_OFF)
		return SCMI_INVALID_PARAMETERS;
	m->grant->voted = true;
	m->grant->vote[0] = mode;
	update_mode(to_voltage(m->res));
	return SCMI_SUCCESS;
}

static int32_t config_get(struct scmi_msg *m)
{
	scmi_put(m, to_voltage(m->res)->mode);
	return SCMI_SUCCESS;
}

static int32_t describe_levels(struct scmi_msg *m)
{
	const struct voltage *v = to_voltage(m->res);
	uint32_t index = scmi_param(m, 1), n;

	if (index >= v->nlevels || (v->range && index))
		return SCMI_OUT_OF_RANGE;
	n = (uint32_t)min_u64(v->nlevels - index, scmi_room_for(m, 4, 4));
	/* The three numbers of a range come together. */
	if (!n || (v->range && n < 3))
		return SCMI_COMMS_ERROR;
	scmi_put(m, n | (v->range ? LEVELS_RANGE : 0) | (v->nlevels - index - n) << REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++)
		scmi_put(m, (uint32_t)v->levels[i]);
	return SCMI_SUCCESS;
}

static int32_t domain_attributes(struct scmi_msg *m)
{
	uint32_t flags = scmi_has_p2a(m) ? ATTR_ASYNC : 0;

	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m));
	return SCMI_SUCCESS;
}

/* Configuration and operator. */

static int check_levels(const struct voltage *v, struct err *e)
{
	for (unsigned i = 1; i < v->nlevels; i++)
		if (!v->range && v->levels[i] <= v->levels[i - 1])
			return err_set(
				e, -EINVAL, "'%s': levels are not in ascending order", v->res.name);
	if (v->range && (v->nlevels != 3 || v->levels[0] > v->levels[1] || v->levels[2] <= 0))
		return err_set(e, -EINVAL,
			"'%s': range is LOWEST/HIGHEST/STEP in microvolts, as 800000/1200000/12500",
			v->res.name);
	if (!v->nlevels)
		return err_set(e, -EINVAL, "'%s': levels or range is needed", v->res.name);
	return 0;
}

static int open_levels(struct voltage *v, struct scmi_words *w, struct err *e)
{
	unsigned range = 0;
	int ret = scmi_word_list(
		w, "levels", INT32_MIN, INT32_MAX, v->levels, LEVELS_MAX, &v->nlevels, e);

	if (!ret)
		ret = scmi_word_list(w, "range", INT32_MIN, INT32_MAX, v->levels, 3, &range, e);
	if (ret)
		return ret;
	if (v->nlevels && range)
		return err_set(
			e, -EINVAL, "'%s': levels and range exclude each other", v->res.name);
	v->range = range;
	v->nlevels += range;
	ret = check_levels(v, e);
	if (ret)
		return ret;
	v->level = (int32_t)v->levels[0];
	ret = scmi_word_s32(w, "level", INT32_MIN, INT32_MAX, &v->level, e);
	if (!ret && !is_level(v, v->level))
		return err_set(
			e, -EINVAL, "'%s': level is not one of the possible ones", v->res.name);
	return ret;
}

static int open_voltage(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	static const char *const words[] = { "off", "on", NULL };
	struct voltage *v = to_voltage(res);
	unsigned state = 0;
	int ret = open_levels(v, w, e);

	if (!ret)
		ret = scmi_word_enum(w, "state", words, &state, e);
	if (!ret)
		ret = scmi_word_us(w, "latency", LATENCY_MAX_US, &v->latency_us, e);
	v->initial = v->mode = state ? MODE_ON : MODE_OFF;
	return ret;
}

static void forget(struct scmi_grant *g)
{
	update_mode(to_voltage(g->res));
}

static void show(const struct scmi_res *res, FILE *f)
{
	const struct voltage *v = to_voltage(res);

	fprintf(f, "level=%d state=%s", v->level, v->mode == MODE_ON ? "on" : "off");
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct voltage *v = to_voltage(res);
	int64_t level;

	if (argc == 1 && (!strcmp(argv[0], "on") || !strcmp(argv[0], "off"))) {
		scmi_drop_votes(res);
		v->initial = strcmp(argv[0], "on") ? MODE_OFF : MODE_ON;
		update_mode(v);
		return 0;
	}
	if (argc != 2 || strcmp(argv[0], "level") != 0 ||
		scmi_parse_number(argv[1], INT32_MIN, INT32_MAX, &level) || !is_level(v, level))
		return err_set(e, -EINVAL,
			"a voltage domain takes on, off, or level MICROVOLTS, one that it has");
	v->level = (int32_t)level;
	return 0;
}

static const struct scmi_command commands[] = {
	{ DOMAIN_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = domain_attributes,
		.name = "VOLTAGE_DOMAIN_ATTRIBUTES" },
	{ DESCRIBE_LEVELS, SCMI_RESOURCE, .len = 8, .run = describe_levels,
		.name = "VOLTAGE_DESCRIBE_LEVELS" },
	{ CONFIG_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 8, .run = config_set,
		.name = "VOLTAGE_CONFIG_SET" },
	{ CONFIG_GET, SCMI_RESOURCE, .len = 4, .run = config_get, .name = "VOLTAGE_CONFIG_GET" },
	{ LEVEL_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = level_set,
		.name = "VOLTAGE_LEVEL_SET" },
	{ LEVEL_GET, SCMI_RESOURCE, .len = 4, .run = level_get, .name = "VOLTAGE_LEVEL_GET" },
	{ DOMAIN_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "VOLTAGE_DOMAIN_NAME_GET" },
	{ 0 },
};

const struct scmi_protocol scmi_voltage = {
	.id = SCMI_PROTOCOL_VOLTAGE,
	.version = VERSION,
	.name = "voltage",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct voltage),
	.open = open_voltage,
	.forget = forget,
	.show = show,
	.tell = tell,
};
