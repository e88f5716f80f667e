/* SPDX-License-Identifier: BSD-3-Clause */
/* Power domain management protocol (SCMI 4.3): on, and off with loss of context. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_priv.h"

#define VERSION 0x30001u

#define DOMAIN_ATTRIBUTES    0x3
#define STATE_SET	     0x4
#define STATE_GET	     0x5
#define STATE_NOTIFY	     0x6
#define STATE_REQUEST_NOTIFY 0x7
#define DOMAIN_NAME_GET	     0x8
/* Notifications, and who wants them. */
#define STATE_CHANGED	       0x0
#define STATE_CHANGE_REQUESTED 0x1
#define WANTS_CHANGES	       1u
#define WANTS_REQUESTS	       2u

/* Power state parameter (SCMI 4.3.2.3). */
#define STATE_ON  0u
#define STATE_OFF (1u << 30)

#define FLAG_ASYNC 1u

#define ATTR_NOTIFY	    (1u << 31)
#define ATTR_ASYNC	    (1u << 30)
#define ATTR_SYNC	    (1u << 29)
#define ATTR_REQUEST_NOTIFY (1u << 28)
#define ATTR_NAME	    (1u << 27)

#define LATENCY_MAX_US 10000000u

struct power {
	struct scmi_res res;
	uint32_t initial, state;
	uint32_t latency_us; /* of an asynchronous change */
};

static struct power *to_power(const struct scmi_res *res)
{
	return container_of(res, struct power, res);
}

/* On as long as one agent wants it; as it was at first as long as nobody said anything. */
static uint32_t wanted(const struct power *p)
{
	bool asked = false;

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(&p->res, id);

		if (!g || !g->voted)
			continue;
		if (g->vote[0] == STATE_ON)
			return STATE_ON;
		asked = true;
	}
	return asked ? STATE_OFF : p->initial;
}

static bool update(struct power *p, const struct scmi_agent *cause)
{
	uint32_t state = wanted(p);

	if (state == p->state)
		return false;
	p->state = state;
	scmi_notify(&p->res, WANTS_CHANGES, STATE_CHANGED, cause, &state, 1, true);
	return true;
}

static int32_t apply(struct scmi_msg *m)
{
	struct power *p = to_power(m->res);

	m->grant->voted = true;
	m->grant->vote[0] = scmi_param(m, 2);
	if (!update(p, m->agent) && p->state != m->grant->vote[0])
		scmi_notify(m->res, WANTS_REQUESTS, STATE_CHANGE_REQUESTED, m->agent,
			m->grant->vote, 1, true);
	return SCMI_SUCCESS;
}

static int32_t state_set(struct scmi_msg *m)
{
	uint32_t flags = scmi_param(m, 0), state = scmi_param(m, 2);

	if ((flags & ~FLAG_ASYNC) || (state != STATE_ON && state != STATE_OFF))
		return SCMI_INVALID_PARAMETERS;
	/* There is no delayed response to this one: the change itself can be notified. */
	if (flags & FLAG_ASYNC)
		return scmi_later(m, to_power(m->res)->latency_us * UINT64_C(1000), apply, false);
	return apply(m);
}

static int32_t state_get(struct scmi_msg *m)
{
	scmi_put(m, to_power(m->res)->state);
	return SCMI_SUCCESS;
}

static int32_t state_notify(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_CHANGES);
}

static int32_t state_request_notify(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_REQUESTS);
}

static int32_t domain_attributes(struct scmi_msg *m)
{
	uint32_t flags = ATTR_ASYNC | ATTR_SYNC;

	if (scmi_has_p2a(m))
		flags |= ATTR_NOTIFY | ATTR_REQUEST_NOTIFY;
	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

/* The number of domains, and no statistics region. */
static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m));
	scmi_put64(m, 0);
	scmi_put(m, 0);
	return SCMI_SUCCESS;
}

static int open_power(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	static const char *const words[] = { "on", "off", NULL };
	struct power *p = to_power(res);
	unsigned state = 1;
	int ret = scmi_word_enum(w, "state", words, &state, e);

	if (!ret)
		ret = scmi_word_us(w, "latency", LATENCY_MAX_US, &p->latency_us, e);
	p->initial = p->state = state ? STATE_OFF : STATE_ON;
	return ret;
}

static void forget(struct scmi_grant *g)
{
	update(to_power(g->res), g->agent);
}

static void show(const struct scmi_res *res, FILE *f)
{
	fprintf(f, "state=%s", to_power(res)->state == STATE_ON ? "on" : "off");
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct power *p = to_power(res);

	if (argc != 1 || (strcmp(argv[0], "on") != 0 && strcmp(argv[0], "off") != 0))
		return err_set(e, -EINVAL, "a power domain can be set to on or off");
	scmi_drop_votes(res);
	p->initial = strcmp(argv[0], "on") ? STATE_OFF : STATE_ON;
	update(p, NULL);
	return 0;
}

static const struct scmi_command commands[] = {
	{ DOMAIN_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = domain_attributes,
		.name = "POWER_DOMAIN_ATTRIBUTES" },
	{ STATE_SET, SCMI_RESOURCE | SCMI_WRITE, .word = 1, .len = 12, .run = state_set,
		.name = "POWER_STATE_SET" },
	{ STATE_GET, SCMI_RESOURCE, .len = 4, .run = state_get, .name = "POWER_STATE_GET" },
	{ STATE_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = state_notify,
		.name = "POWER_STATE_NOTIFY" },
	{ STATE_REQUEST_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = state_request_notify,
		.name = "POWER_STATE_CHANGE_REQUESTED_NOTIFY" },
	{ DOMAIN_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "POWER_DOMAIN_NAME_GET" },
	{ 0 },
};

const struct scmi_protocol scmi_power = {
	.id = SCMI_PROTOCOL_POWER,
	.version = VERSION,
	.name = "power",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct power),
	.open = open_power,
	.forget = forget,
	.show = show,
	.tell = tell,
};
