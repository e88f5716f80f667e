/* SPDX-License-Identifier: BSD-3-Clause */
/* Reset domain management protocol (SCMI 4.8). */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_priv.h"

#define VERSION 0x30001u

#define DOMAIN_ATTRIBUTES 0x3
#define RESET		  0x4
#define RESET_NOTIFY	  0x5
#define DOMAIN_NAME_GET	  0x6
/* Notification, and who wants it. */
#define RESET_ISSUED 0x0
#define WANTS_RESETS 1u

#define ATTR_ASYNC  (1u << 31)
#define ATTR_NOTIFY (1u << 30)
#define ATTR_NAME   (1u << 29)

#define FLAG_AUTONOMOUS (1u << 0)
#define FLAG_ASSERT	(1u << 1)
#define FLAG_ASYNC	(1u << 2)
#define FLAGS_ALL	(FLAG_AUTONOMOUS | FLAG_ASSERT | FLAG_ASYNC)
#define STATE_COLD	0u /* architectural: all context is lost */

#define LATENCY_MAX_US 10000000u

struct reset {
	struct scmi_res res;
	bool asserted;
	uint64_t count; /* resets issued */
	uint32_t latency_us;
};

static struct reset *to_reset(const struct scmi_res *res)
{
	return container_of(res, struct reset, res);
}

static void issue(struct reset *r, const struct scmi_agent *cause)
{
	const uint32_t state = STATE_COLD;

	r->count++;
	scmi_notify(&r->res, WANTS_RESETS, RESET_ISSUED, cause, &state, 1, false);
}

/* RESET_COMPLETE */
static int32_t complete(struct scmi_msg *m)
{
	issue(to_reset(m->res), m->agent);
	scmi_put(m, m->id);
	return SCMI_SUCCESS;
}

static int32_t set_line(struct scmi_msg *m, bool assert)
{
	struct reset *r = to_reset(m->res);

	if (assert && !r->asserted)
		issue(r, m->agent);
	r->asserted = assert;
	return SCMI_SUCCESS;
}

static int32_t reset(struct scmi_msg *m)
{
	struct reset *r = to_reset(m->res);
	uint32_t flags = scmi_param(m, 1);

	if (flags & ~FLAGS_ALL || scmi_param(m, 2) != STATE_COLD)
		return SCMI_INVALID_PARAMETERS;
	if (!(flags & FLAG_AUTONOMOUS))
		return flags & FLAG_ASYNC ? SCMI_INVALID_PARAMETERS
					  : set_line(m, flags & FLAG_ASSERT);
	if (flags & FLAG_ASYNC)
		return scmi_later(m, r->latency_us * UINT64_C(1000), complete, true);
	issue(r, m->agent);
	return SCMI_SUCCESS;
}

static int32_t reset_notify(struct scmi_msg *m)
{
	return scmi_subscribe(m, WANTS_RESETS);
}

static int32_t domain_attributes(struct scmi_msg *m)
{
	uint32_t flags = scmi_has_p2a(m) ? ATTR_ASYNC | ATTR_NOTIFY : 0;

	if (scmi_name_is_long(m->res))
		flags |= ATTR_NAME;
	scmi_put(m, flags);
	scmi_put(m, to_reset(m->res)->latency_us);
	scmi_put_name(m, m->res->name, SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m));
	return SCMI_SUCCESS;
}

static int open_reset(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	struct reset *r = to_reset(res);

	r->asserted = scmi_word_flag(w, "asserted");
	return scmi_word_us(w, "latency", LATENCY_MAX_US, &r->latency_us, e);
}

static void show(const struct scmi_res *res, FILE *f)
{
	const struct reset *r = to_reset(res);

	fprintf(f, "line=%s resets=%llu", r->asserted ? "asserted" : "deasserted",
		(unsigned long long)r->count);
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	if (argc != 1 || strcmp(argv[0], "reset") != 0)
		return err_set(e, -EINVAL, "a reset domain takes reset");
	issue(to_reset(res), NULL);
	return 0;
}

static const struct scmi_command commands[] = {
	{ DOMAIN_ATTRIBUTES, SCMI_RESOURCE, .len = 4, .run = domain_attributes,
		.name = "RESET_DOMAIN_ATTRIBUTES" },
	{ RESET, SCMI_RESOURCE | SCMI_WRITE, .len = 12, .run = reset, .name = "RESET" },
	{ RESET_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = reset_notify,
		.name = "RESET_NOTIFY" },
	{ DOMAIN_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "RESET_DOMAIN_NAME_GET" },
	{ 0 },
};

const struct scmi_protocol scmi_reset = {
	.id = SCMI_PROTOCOL_RESET,
	.version = VERSION,
	.name = "reset",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct reset),
	.open = open_reset,
	.show = show,
	.tell = tell,
};
