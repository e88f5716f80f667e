/* SPDX-License-Identifier: BSD-3-Clause */
/* Agents: what each may see and do, what it is told, and what it is still to be told. */
#include "devices/scmi_agent.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_rules.h"

/* Events a second that an agent can cause. */
#define COMPLAINTS_BURST 2u
#define BASE_ERROR_EVENT 0x0
#define NOTIFY_WORDS_MAX (SCMI_P2A_MAX / 4)

/* Grants. */

static int fill_view(struct scmi_agent *a, unsigned slot, struct scmi_rules *rules, struct err *e)
{
	unsigned n = scmi_platform_count(a->platform, slot);
	struct scmi_view *view = &a->views[slot];

	view->grants = calloc(n + 1, sizeof(*view->grants));
	if (!view->grants)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		struct scmi_res *res = scmi_platform_res(a->platform, slot, i);
		enum scmi_access access;

		if (!scmi_rules_judge(rules, res->protocol->name, res->name, &access))
			continue;
		view->grants[view->n++] = (struct scmi_grant){
			.agent = a, .res = res, .access = access, .configured = access
		};
	}
	return 0;
}

static int fill_views(struct scmi_agent *a, const struct scmi_agent_config *config, struct err *e)
{
	struct scmi_rules rules;
	int ret = scmi_rules_parse(&rules, config->all ? NULL : config->grants, e);

	for (unsigned s = 0; !ret && s < SCMI_SLOTS; s++)
		ret = fill_view(a, s, &rules, e);
	if (!ret)
		ret = scmi_rules_end(&rules, e);
	scmi_rules_free(&rules);
	return ret;
}

/* Life. */

static void deliver(void *arg);

int scmi_agent_open(struct scmi_agent *a, struct scmi_platform *p,
	const struct scmi_agent_config *config, const struct scmi_agent_ops *ops, struct err *e)
{
	int ret;

	a->platform = p;
	a->ops = ops;
	a->trusted = config->trusted;
	memcpy(a->name, config->name, strnlen(config->name, sizeof(a->name) - 1));
	a->delayed = calloc(SCMI_DELAYED_MAX, sizeof(*a->delayed));
	if (!a->delayed)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < SCMI_DELAYED_MAX; i++) {
		a->delayed[i].agent = a;
		ev_timer_init(scmi_loop(p), &a->delayed[i].timer, deliver, &a->delayed[i]);
	}
	ret = fill_views(a, config, e);
	return ret ? ret : scmi_platform_add(p, a, e);
}

void scmi_agent_close(struct scmi_agent *a)
{
	if (!a->platform)
		return;
	scmi_agent_reset(a);
	scmi_platform_remove(a->platform, a);
	for (unsigned s = 0; s < SCMI_SLOTS; s++)
		free(a->views[s].grants);
	free(a->delayed);
	memset(a, 0, sizeof(*a));
}

static void forget_grant(struct scmi_grant *g)
{
	g->subscribed = 0;
	g->voted = false;
	if (g->res->protocol->forget)
		g->res->protocol->forget(g);
}

void scmi_agent_forget(struct scmi_agent *a)
{
	a->errors = false;
	for (unsigned s = 0; s < SCMI_SLOTS; s++)
		for (unsigned i = 0; i < a->views[s].n; i++)
			forget_grant(&a->views[s].grants[i]);
}

void scmi_agent_reset(struct scmi_agent *a)
{
	a->unsent = 0;
	for (unsigned i = 0; a->delayed && i < SCMI_DELAYED_MAX; i++) {
		ev_timer_stop(&a->delayed[i].timer);
		a->delayed[i].busy = false;
	}
	scmi_agent_forget(a);
}

void scmi_agent_restore(struct scmi_agent *a)
{
	for (unsigned s = 0; s < SCMI_SLOTS; s++)
		for (unsigned i = 0; i < a->views[s].n; i++)
			a->views[s].grants[i].access = a->views[s].grants[i].configured;
}

/* Questions. */

bool scmi_agent_has(const struct scmi_agent *a, unsigned slot)
{
	return scmi_protocols[slot] && (slot == SCMI_SLOT(SCMI_PROTOCOL_BASE) || a->views[slot].n);
}

struct scmi_grant *scmi_agent_grant(
	struct scmi_agent *a, const struct scmi_protocol *p, uint32_t id)
{
	struct scmi_view *view = &a->views[SCMI_SLOT(p->id)];

	return id < view->n ? &view->grants[id] : NULL;
}

struct scmi_grant *scmi_agent_grant_for(struct scmi_agent *a, const struct scmi_res *res)
{
	struct scmi_view *view = &a->views[SCMI_SLOT(res->protocol->id)];

	for (unsigned i = 0; i < view->n; i++)
		if (view->grants[i].res == res)
			return &view->grants[i];
	return NULL;
}

struct scmi_grant *scmi_grant_of(const struct scmi_res *res, unsigned agent)
{
	struct scmi_agent *a = scmi_platform_agent(res->platform, agent);

	return a ? scmi_agent_grant_for(a, res) : NULL;
}

void scmi_drop_votes(const struct scmi_res *res)
{
	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		struct scmi_grant *g = scmi_grant_of(res, id);

		if (g)
			g->voted = false;
	}
}

uint32_t scmi_count(const struct scmi_msg *m)
{
	return m->agent->views[SCMI_SLOT(m->protocol->id)].n;
}

bool scmi_has_p2a(const struct scmi_msg *m)
{
	return m->agent->p2a;
}

/* Notifications. */

int32_t scmi_subscribe(struct scmi_msg *m, uint8_t bit)
{
	uint32_t enable = scmi_param(m, 1);

	if (enable > 1)
		return SCMI_INVALID_PARAMETERS;
	m->grant->subscribed =
		enable ? m->grant->subscribed | bit : m->grant->subscribed & (uint8_t)~bit;
	return SCMI_SUCCESS;
}

void scmi_notify_one(const struct scmi_grant *g, uint8_t message, const struct scmi_agent *cause,
	const uint32_t *words, unsigned n, bool latest)
{
	struct scmi_agent *a = g->agent;
	uint8_t protocol = g->res->protocol->id;
	uint32_t payload[NOTIFY_WORDS_MAX];

	if (!a->p2a || g->access == SCMI_ACCESS_NONE || n > NOTIFY_WORDS_MAX - 2)
		return;
	payload[0] = htole32(cause ? cause->id : SCMI_AGENT_PLATFORM);
	payload[1] = htole32((uint32_t)(g - a->views[SCMI_SLOT(protocol)].grants));
	for (unsigned i = 0; i < n; i++)
		payload[2 + i] = htole32(words[i]);
	a->ops->send(a, SCMI_HDR(message, SCMI_TYPE_NOTIFICATION, protocol), payload, (n + 2) * 4,
		latest);
}

void scmi_notify(const struct scmi_res *res, uint8_t bit, uint8_t message,
	const struct scmi_agent *cause, const uint32_t *words, unsigned n, bool latest)
{
	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		const struct scmi_grant *g = scmi_grant_of(res, id);

		if (g && (g->subscribed & bit))
			scmi_notify_one(g, message, cause, words, n, latest);
	}
}

/* Those who want to know of errors: of their own, or with trust of all. */
static void report_error(const struct scmi_msg *m, int32_t status)
{
	const uint32_t payload[] = { htole32(m->agent->id), htole32(1), htole32(m->hdr),
		htole32((uint32_t)status) };

	for (unsigned id = 1; id <= SCMI_AGENTS_MAX; id++) {
		struct scmi_agent *a = scmi_platform_agent(m->agent->platform, id);

		if (a && a->p2a && a->errors && (a == m->agent || a->trusted))
			a->ops->send(a,
				SCMI_HDR(BASE_ERROR_EVENT, SCMI_TYPE_NOTIFICATION,
					SCMI_PROTOCOL_BASE),
				payload, sizeof(payload), false);
	}
}

void scmi_agent_denied(struct scmi_msg *m)
{
	struct scmi_agent *a = m->agent;
	char text[160];

	a->denied++;
	report_error(m, SCMI_DENIED);
	if (!log_allowed(&a->complaints, COMPLAINTS_BURST))
		return;
	snprintf(text, sizeof(text), "agent %s: %s%s%s", a->name, m->command->name,
		m->res ? " of " : "", m->res ? m->res->name : "");
	a->ops->event(a, "denied", text);
}

/* Delayed responses. */

static unsigned under_way(const struct scmi_agent *a)
{
	unsigned n = a->unsent;

	for (unsigned i = 0; i < SCMI_DELAYED_MAX; i++)
		n += a->delayed[i].busy;
	return n;
}

int32_t scmi_later(struct scmi_msg *m, uint64_t delay_ns, scmi_fn complete, bool wanted)
{
	struct scmi_agent *a = m->agent;
	struct scmi_delayed *d = a->delayed;

	if (wanted && !a->p2a)
		return SCMI_NOT_SUPPORTED;
	if (under_way(a) >= SCMI_DELAYED_MAX)
		return SCMI_BUSY;
	while (d->busy)
		d++;
	d->busy = true;
	d->wanted = wanted;
	d->complete = complete;
	d->hdr = m->hdr;
	d->command = m->command;
	d->len = m->len;
	memcpy(d->params, m->params, m->len);
	ev_timer_set(&d->timer, delay_ns);
	return SCMI_SUCCESS;
}

static void deliver(void *arg)
{
	struct scmi_delayed *d = arg;
	struct scmi_msg m = { .agent = d->agent,
		.hdr = d->hdr,
		.command = d->command,
		.len = d->len,
		.room = SCMI_P2A_MAX - sizeof(uint32_t) };
	uint8_t payload[SCMI_P2A_MAX];
	uint32_t status;

	d->busy = false;
	memcpy(m.params, d->params, d->len);
	status = htole32((uint32_t)scmi_complete(&m, d->complete));
	if (!d->wanted)
		return;
	memcpy(payload, &status, sizeof(status));
	memcpy(payload + sizeof(status), m.ret, m.used);
	d->agent->ops->send(d->agent, d->hdr | SCMI_TYPE_DELAYED << 8, payload,
		(uint32_t)sizeof(status) + m.used, false);
}
