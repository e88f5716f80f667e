/* SPDX-License-Identifier: BSD-3-Clause */
/* Clock management protocol (SCMI 4.6): rates from a list or a range, gates. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_priv.h"

#define VERSION 0x30000u

#define CLOCK_ATTRIBUTES      0x3
#define CLOCK_DESCRIBE_RATES  0x4
#define CLOCK_RATE_SET	      0x5
#define CLOCK_RATE_GET	      0x6
#define CLOCK_CONFIG_SET      0x7
#define CLOCK_NAME_GET	      0x8
#define CLOCK_RATE_NOTIFY     0x9
#define CLOCK_CONFIG_GET      0xb
#define CLOCK_GET_PERMISSIONS 0xf
/* Notification, and who wants it. */
#define CLOCK_RATE_CHANGED 0x0
#define WANTS_RATES	   1u

#define ATTR_ENABLED	 (1u << 0)
#define ATTR_RESTRICTED	 (1u << 1) /* GET_PERMISSIONS says what is allowed */
#define ATTR_NAME	 (1u << 29)
#define ATTR_RATE_NOTIFY (1u << 31)

#define RATES_RANGE	   (1u << 12)
#define RATES_REMAIN_SHIFT 16

#define FLAG_ASYNC	(1u << 0)
#define FLAG_NO_DELAYED (1u << 1)
#define FLAG_ROUND_UP	(1u << 2)
#define FLAG_ROUND_AUTO (1u << 3)
#define FLAGS_ALL	(FLAG_ASYNC | FLAG_NO_DELAYED | FLAG_ROUND_UP | FLAG_ROUND_AUTO)

#define CONFIG_STATE	 3u /* disable, enable, reserved, unchanged */
#define CONFIG_RESERVED	 2u
#define CONFIG_UNCHANGED 3u
#define CONFIG_TYPE	 0x00ff0000u /* extended configuration: there is none */

#define PERMIT_STATE (1u << 31)
#define PERMIT_RATE  (1u << 29)

#define RATES_MAX      64u
#define LATENCY_MAX_US 10000000u

struct clock {
	struct scmi_res res;
	int64_t rates[RATES_MAX]; /* ascending; of a range: lowest, highest, step */
	unsigned nrates;
	bool range;
	bool initial, enabled;
	uint64_t rate;	     /* Hz */
	uint32_t latency_us; /* of enabling, and of an asynchronous change of rate */
};

static struct clock *to_clock(const struct scmi_res *res)
{
	return container_of(res, struct clock, res);
}

/* Rates. */

static uint64_t round_in_range(const struct clock *c, uint64_t rate, bool up)
{
	uint64_t min = (uint64_t)c->rates[0], max = (uint64_t)c->rates[1];
	uint64_t step = (uint64_t)c->rates[2], above;

	if (rate <= min || rate >= max)
		return rate <= min ? min : max;
	above = (rate - min) % step;
	if (!above)
		return rate;
	return up ? min_u64(rate - above + step, max) : rate - above;
}

static uint64_t round_in_list(const struct clock *c, uint64_t rate, bool up)
{
	uint64_t best = (uint64_t)c->rates[0];

	for (unsigned i = 0; i < c->nrates; i++) {
		uint64_t r = (uint64_t)c->rates[i];

		if (up && r >= rate)
			return r;
		if (r <= rate || up)
			best = r;
	}
	return best;
}

/* The rate to set for one asked for; false if none is on the side to which is rounded. */
static bool find_rate(const struct clock *c, uint64_t asked, uint32_t flags, uint64_t *rate)
{
	bool either = flags & FLAG_ROUND_AUTO, up = flags & FLAG_ROUND_UP;

	*rate = c->range ? round_in_range(c, asked, up) : round_in_list(c, asked, up);
	return either || *rate == asked || (*rate > asked) == up;
}

static void set_rate(struct clock *c, uint64_t rate, const struct scmi_agent *cause)
{
	const uint32_t words[] = { (uint32_t)rate, (uint32_t)(rate >> 32) };

	if (rate == c->rate)
		return;
	c->rate = rate;
	scmi_notify(&c->res, WANTS_RATES, CLOCK_RATE_CHANGED, cause, words, 2, true);
}

static int32_t apply_rate(struct scmi_msg *m)
{
	struct clock *c = to_clock(m->res);
	uint64_t rate;

	if (!find_rate(c, scmi_param64(m, 2), scmi_param(m, 0), &rate))
		return SCMI_INVALID_PARAMETERS;
	set_rate(c, rate, m->agent);
	return SCMI_SUCCESS;
}

/* CLOCK_RATE_SET_COMPLETE */
static int32_t complete_rate(struct scmi_msg *m)
{
	int32_t status = apply_rate(m);

	scmi_put(m, m->id);
	scmi_put64(m, to_clock(m->res)->rate);
	return status;
}

static int32_t rate_set(struct scmi_msg *m)
{
	const struct clock *c = to_clock(m->res);
	uint32_t flags = scmi_param(m, 0);
	uint64_t rate;

	if ((flags & ~FLAGS_ALL) || !find_rate(c, scmi_param64(m, 2), flags, &rate))
		return SCMI_INVALID_PARAMETERS;
	if (flags & FLAG_ASYNC)
		return scmi_later(m, c->latency_us * UINT64_C(1000), complete_rate,
			!(flags & FLAG_NO_DELAYED));
	return apply_rate(m);
}

static int32_t rate_get(struct scmi_msg *m)
{
	scmi_put64(m, to_clock(m->res)->rate);
	return SCMI_SUCCESS;
}

static int32_t describe_rates(struct scmi_msg *m)
{
	const struct clock *c = to_clock(m->res);
	uint32_t index = scmi_param(m, 1), n;

	if (index >= c->nrates)
		return SCMI_OUT_OF_RANGE;
	n = (uint32_t)min_u64(c->nrates - index, scmi_room_for(m, 4, 8));
	/* The three numbers of a range come together. */
	if (!n || (c->range && n < 3))
		return c->range && index ? SCMI_OUT_OF_RANGE : SCMI_COMMS_ERROR;
	scmi_put(m,
		n | (c->range ? RATES_RANGE : 0) | (c->nrates - index - n) << RATES_REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++)
		scmi_put64(m, (uint64_t)c->rates[i]);
	return SCMI_SUCCESS;
}

/* Gates. */

/* Runs as long as one agent wants it; as at first as long as nobody said anything. */
static void update_gate(struct clock *c)
{
	bool asked = false, on = false;

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(&c->res, id);

		asked |= g && g->voted;
		on |= g && g->voted && g->vote[0];
	}
	c->enabled = asked ? on : c->initial;
}

static int32_t config_set(struct scmi_msg *m)
{
	uint32_t config = scmi_param(m, 1), state = config & CONFIG_STATE;

	if ((config & ~(CONFIG_STATE | CONFIG_TYPE)) || state == CONFIG_RESERVED)
		return SCMI_INVALID_PARAMETERS;
	if (config & CONFIG_TYPE)
		return SCMI_NOT_SUPPORTED;
	if (state == CONFIG_UNCHANGED)
		return SCMI_INVALID_PARAMETERS;
	m->grant->voted = true;
	m->grant->vote[0] = state;
	update_gate(to_clock(m->res));
	return SCMI_SUCCESS;
}

static int32_t config_get(struct scmi_msg *m)
{
	uint32_t flags = scmi_param(m, 1);

	if (flags & ~UINT32_C(0xff))
		return SCMI_INVALID_PARAMETERS;
	if (flags)
		return SCMI_NOT_SUPPORTED;
	scmi_put(m, 0);
	scmi_put(m, to_clock(m->res)->enabled);
	scmi_put(m, 0);
	return SCMI_SUCCESS;
}

static int32_t get_permissions(struct scmi_msg *m)
{
	scmi_put(m, m->grant->access == SCMI_ACCESS_WRITE ? PERMIT_STATE | PERMIT_RATE : 0);
	return SCMI_SUCCESS;
}

static int32_t rate_notify(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_RATES);
}

static int32_t clock_attributes(struct scmi_msg *m)
{
	const struct clock *c = to_clock(m->res);
	uint32_t flags = c->enabled ? ATTR_ENABLED : 0;

	if (m->grant->access != SCMI_ACCESS_WRITE)
		flags |= ATTR_RESTRICTED;
	if (scmi_has_p2a(m))
		flags |= ATTR_RATE_NOTIFY;
	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	scmi_put(m, c->latency_us);
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m) | (scmi_has_p2a(m) ? SCMI_DELAYED_MAX << 16 : 0));
	return SCMI_SUCCESS;
}

/* Configuration and operator. */

static int check_rates(struct clock *c, struct err *e)
{
	for (unsigned i = 1; i < c->nrates; i++)
		if (!c->range && c->rates[i] <= c->rates[i - 1])
			return err_set(
				e, -EINVAL, "'%s': rates are not in ascending order", c->res.name);
	if (c->range && (c->nrates != 3 || c->rates[0] > c->rates[1] || !c->rates[2]))
		return err_set(e, -EINVAL,
			"'%s': range is LOWEST/HIGHEST/STEP, as 1000000/8000000/500000",
			c->res.name);
	return 0;
}

static int open_rates(struct clock *c, struct scmi_words *w, struct err *e)
{
	unsigned range = 0;
	uint64_t fit;
	int ret = scmi_word_list(w, "rates", 0, INT64_MAX, c->rates, RATES_MAX, &c->nrates, e);

	if (!ret)
		ret = scmi_word_list(w, "range", 0, INT64_MAX, c->rates, 3, &range, e);
	if (ret)
		return ret;
	if (c->nrates && range)
		return err_set(e, -EINVAL, "'%s': rates and range exclude each other", c->res.name);
	c->range = range;
	c->nrates += range;
	ret = check_rates(c, e);
	if (ret)
		return ret;
	c->rate = c->nrates ? (uint64_t)c->rates[0] : UINT64_MAX;
	ret = scmi_word_u64(w, "rate", 0, INT64_MAX, &c->rate, e);
	if (!ret && c->rate == UINT64_MAX)
		return err_set(e, -EINVAL, "'%s': rate, rates or range is needed", c->res.name);
	if (!c->nrates)
		c->rates[c->nrates++] = (int64_t)c->rate;
	if (!ret && (!find_rate(c, c->rate, 0, &fit) || fit != c->rate))
		return err_set(
			e, -EINVAL, "'%s': rate is not one of the possible ones", c->res.name);
	return ret;
}

static int open_clock(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	static const char *const words[] = { "off", "on", NULL };
	struct clock *c = to_clock(res);
	unsigned state = 0;
	int ret = open_rates(c, w, e);

	if (!ret)
		ret = scmi_word_enum(w, "state", words, &state, e);
	if (!ret)
		ret = scmi_word_us(w, "latency", LATENCY_MAX_US, &c->latency_us, e);
	c->initial = c->enabled = state;
	return ret;
}

static void forget(struct scmi_grant *g)
{
	update_gate(to_clock(g->res));
}

static void show(const struct scmi_res *res, FILE *f)
{
	const struct clock *c = to_clock(res);

	fprintf(f, "rate=%llu state=%s", (unsigned long long)c->rate, c->enabled ? "on" : "off");
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct clock *c = to_clock(res);
	uint64_t rate;
	int64_t asked;

	if (argc == 1 && (!strcmp(argv[0], "on") || !strcmp(argv[0], "off"))) {
		scmi_drop_votes(res);
		c->initial = !strcmp(argv[0], "on");
		update_gate(c);
		return 0;
	}
	if (argc != 2 || strcmp(argv[0], "rate") != 0 ||
		scmi_parse_number(argv[1], 0, INT64_MAX, &asked))
		return err_set(e, -EINVAL, "a clock takes on, off, or rate HERTZ");
	if (!find_rate(c, (uint64_t)asked, 0, &rate) || rate != (uint64_t)asked)
		return err_set(e, -EINVAL, "%s is not one of the possible rates", argv[1]);
	set_rate(c, rate, NULL);
	return 0;
}

static const struct scmi_command commands[] = {
	{ CLOCK_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = clock_attributes,
		.name = "CLOCK_ATTRIBUTES" },
	{ CLOCK_DESCRIBE_RATES, SCMI_RESOURCE, .len = 8, .run = describe_rates,
		.name = "CLOCK_DESCRIBE_RATES" },
	{ CLOCK_RATE_SET, SCMI_RESOURCE | SCMI_WRITE, .word = 1, .len = 16, .run = rate_set,
		.name = "CLOCK_RATE_SET" },
	{ CLOCK_RATE_GET, SCMI_RESOURCE, .len = 4, .run = rate_get, .name = "CLOCK_RATE_GET" },
	{ CLOCK_CONFIG_SET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = config_set,
		.name = "CLOCK_CONFIG_SET" },
	{ CLOCK_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get, .name = "CLOCK_NAME_GET" },
	{ CLOCK_RATE_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = rate_notify,
		.name = "CLOCK_RATE_NOTIFY" },
	{ CLOCK_CONFIG_GET, SCMI_RESOURCE, .len = 8, .run = config_get,
		.name = "CLOCK_CONFIG_GET" },
	{ CLOCK_GET_PERMISSIONS, SCMI_RESOURCE, .len = 4, .run = get_permissions,
		.name = "CLOCK_GET_PERMISSIONS" },
	{ 0 },
};

const struct scmi_protocol scmi_clock = {
	.id = SCMI_PROTOCOL_CLOCK,
	.version = VERSION,
	.name = "clock",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct clock),
	.open = open_clock,
	.forget = forget,
	.show = show,
	.tell = tell,
};
