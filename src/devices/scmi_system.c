/* SPDX-License-Identifier: BSD-3-Clause */
/* System power management protocol (SCMI 4.4): requests to shut down, restart or suspend. */
#include "devices/scmi_system.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_agent.h"

#define VERSION 0x20001u

#define STATE_SET    0x3
#define STATE_GET    0x4
#define STATE_NOTIFY 0x5
/* Notification. */
#define STATE_NOTIFIER 0x0

#define SUBSCRIBED 1u

#define FLAG_GRACEFUL 1u
/* PROTOCOL_MESSAGE_ATTRIBUTES of STATE_SET */
#define ATTR_WARM_RESET (1u << 31)
#define ATTR_SUSPEND	(1u << 30)

enum state { SHUTDOWN, COLD_RESET, WARM_RESET, POWER_UP, SUSPEND };

static const char *const state_names[] = { "shutdown", "cold-reset", "warm-reset", "power-up",
	"suspend" };

struct system {
	struct scmi_res res;
	struct log_limit events;
};

static struct scmi_grant *own_grant(const struct scmi_msg *m)
{
	return scmi_agent_grant(m->agent, &scmi_system, 0);
}

static void send(const struct scmi_grant *g, const struct scmi_agent *cause, uint32_t flags,
	enum state state, uint32_t timeout_ms)
{
	const uint32_t payload[] = { htole32(cause ? cause->id : SCMI_AGENT_PLATFORM),
		htole32(flags), htole32(state), htole32(timeout_ms) };

	if (g->agent->p2a && (g->subscribed & SUBSCRIBED))
		g->agent->ops->send(g->agent,
			SCMI_HDR(STATE_NOTIFIER, SCMI_TYPE_NOTIFICATION, SCMI_PROTOCOL_SYSTEM),
			payload, sizeof(payload), false);
}

/* The platform leaves it to the operator what follows: it says what was asked for, and tells the
 * other agents that want to know. */
static int32_t state_set(struct scmi_msg *m)
{
	struct scmi_grant *own = own_grant(m);
	uint32_t flags = scmi_param(m, 0), state = scmi_param(m, 1);
	struct system *s;

	if (flags & ~FLAG_GRACEFUL)
		return SCMI_INVALID_PARAMETERS;
	if (state >= ARRAY_LEN(state_names) || state == POWER_UP)
		return state >> 31 ? SCMI_NOT_SUPPORTED : SCMI_INVALID_PARAMETERS;
	if (own->access != SCMI_ACCESS_WRITE)
		return SCMI_DENIED;
	s = container_of(own->res, struct system, res);
	if (log_allowed(&s->events, 2))
		scmi_event(own->res->platform, "system-power", "agent %s asks for %s%s",
			m->agent->name, flags & FLAG_GRACEFUL ? "graceful " : "",
			state_names[state]);
	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(own->res, id);

		if (g && g->agent != m->agent)
			send(g, m->agent, flags, (enum state)state, 0);
	}
	return SCMI_SUCCESS;
}

static int32_t state_get(struct scmi_msg *m)
{
	if (own_grant(m)->access == SCMI_ACCESS_NONE)
		return SCMI_DENIED;
	scmi_put(m, POWER_UP);
	return SCMI_SUCCESS;
}

static int32_t state_notify(struct scmi_msg *m)
{
	struct scmi_grant *own = own_grant(m);
	uint32_t enable = scmi_param(m, 0);

	if (own->access == SCMI_ACCESS_NONE)
		return SCMI_DENIED;
	if (enable > 1)
		return SCMI_INVALID_PARAMETERS;
	own->subscribed = enable ? SUBSCRIBED : 0;
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, 0);
	return SCMI_SUCCESS;
}

static int open_system(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	return 0;
}

static void show(const struct scmi_res *res, FILE *f)
{
	fputs("listening=", f);
	for (unsigned id = 1, n = 0; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(res, id);

		if (g && g->subscribed)
			fprintf(f, "%s%s", n++ ? "," : "", g->agent->name);
	}
}

/* The operator. */

bool scmi_system_is_command(const char *word)
{
	return !strcmp(word, "shutdown") || !strcmp(word, "reboot") || !strcmp(word, "suspend");
}

static int parse(unsigned argc, char **argv, uint32_t *flags, uint32_t *timeout_ms, struct err *e)
{
	for (unsigned i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "graceful"))
			*flags = FLAG_GRACEFUL;
		else if (opt_parse_time(argv[i], timeout_ms))
			return err_set(e, -EINVAL,
				"'%.32s' is neither 'graceful' nor a time as in 30s", argv[i]);
	}
	return 0;
}

int scmi_system_command(struct scmi_res *res, struct scmi_agent *only, unsigned argc, char **argv,
	FILE *answer, struct err *e)
{
	enum state state = !strcmp(argv[0], "shutdown") ? SHUTDOWN
			   : !strcmp(argv[0], "reboot") ? COLD_RESET
							: SUSPEND;
	uint32_t flags = 0, timeout_ms = 0;
	unsigned told = 0;
	int ret = parse(argc, argv, &flags, &timeout_ms, e);

	if (ret)
		return ret;
	if (!res)
		return err_set(e, -EINVAL, "there is no system power here; set system-power: true");
	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(res, id);

		if (!g || !g->subscribed || (only && g->agent != only))
			continue;
		send(g, NULL, flags, state, timeout_ms);
		fprintf(answer, "told %s\n", g->agent->name);
		told++;
	}
	return told ? 0
		    : err_set(e, -EAGAIN,
			      "nobody listens: no driver has asked for these notifications");
}

static const struct scmi_command commands[] = {
	{ STATE_SET, .len = 8, .run = state_set, .attributes = ATTR_WARM_RESET | ATTR_SUSPEND,
		.name = "SYSTEM_POWER_STATE_SET" },
	{ STATE_GET, .len = 0, .run = state_get, .name = "SYSTEM_POWER_STATE_GET" },
	{ STATE_NOTIFY, SCMI_NOTIFY, .len = 4, .run = state_notify,
		.name = "SYSTEM_POWER_STATE_NOTIFY" },
	{ 0 },
};

const struct scmi_protocol scmi_system = {
	.id = SCMI_PROTOCOL_SYSTEM,
	.version = VERSION,
	.name = "system",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct system),
	.open = open_system,
	.show = show,
};
