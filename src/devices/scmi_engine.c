/* SPDX-License-Identifier: BSD-3-Clause */
/* The message engine: finds a message's command, checks what is the same for all, answers. */
#include <endian.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_agent.h"
#include "devices/scmi_priv.h"

/* Parameters of the commands that all protocols have. */
#define LEN_NONE 0u
#define LEN_ONE	 4u

const struct scmi_protocol *const scmi_protocols[SCMI_SLOTS] = {
	[SCMI_SLOT(SCMI_PROTOCOL_BASE)] = &scmi_base,
	[SCMI_SLOT(SCMI_PROTOCOL_POWER)] = &scmi_power,
	[SCMI_SLOT(SCMI_PROTOCOL_SYSTEM)] = &scmi_system,
	[SCMI_SLOT(SCMI_PROTOCOL_PERF)] = &scmi_perf,
	[SCMI_SLOT(SCMI_PROTOCOL_CLOCK)] = &scmi_clock,
	[SCMI_SLOT(SCMI_PROTOCOL_SENSOR)] = &scmi_sensor,
	[SCMI_SLOT(SCMI_PROTOCOL_RESET)] = &scmi_reset,
	[SCMI_SLOT(SCMI_PROTOCOL_VOLTAGE)] = &scmi_voltage,
	[SCMI_SLOT(SCMI_PROTOCOL_POWERCAP)] = &scmi_powercap,
};

uint32_t scmi_param(const struct scmi_msg *m, unsigned i)
{
	uint32_t v;

	if ((i + 1) * sizeof(v) > m->len)
		return 0;
	memcpy(&v, m->params + i * sizeof(v), sizeof(v));
	return le32toh(v);
}

uint64_t scmi_param64(const struct scmi_msg *m, unsigned i)
{
	return scmi_param(m, i) | (uint64_t)scmi_param(m, i + 1) << 32;
}

/* `len` more bytes of return values, or NULL if they do not fit. */
static uint8_t *more(struct scmi_msg *m, uint32_t len)
{
	uint8_t *at = m->ret + m->used;

	if (m->overflow || len > m->room - m->used) {
		m->overflow = true;
		return NULL;
	}
	m->used += len;
	return at;
}

void scmi_put(struct scmi_msg *m, uint32_t v)
{
	uint8_t *at = more(m, sizeof(v));

	v = htole32(v);
	if (at)
		memcpy(at, &v, sizeof(v));
}

void scmi_put64(struct scmi_msg *m, uint64_t v)
{
	scmi_put(m, (uint32_t)v);
	scmi_put(m, (uint32_t)(v >> 32));
}

void scmi_put_name(struct scmi_msg *m, const char *name, unsigned size)
{
	uint8_t *at = more(m, size);

	if (!at)
		return;
	memset(at, 0, size);
	memcpy(at, name, strnlen(name, size - 1));
}

uint32_t scmi_room_for(const struct scmi_msg *m, uint32_t before, uint32_t size)
{
	return m->room - m->used < before ? 0 : (m->room - m->used - before) / size;
}

int32_t scmi_name_get(struct scmi_msg *m)
{
	scmi_put(m, 0);
	scmi_put_name(m, m->res->name, SCMI_NAME_MAX);
	return SCMI_SUCCESS;
}

bool scmi_name_is_long(const struct scmi_res *res)
{
	return strlen(res->name) >= SCMI_SHORT_NAME;
}

/* The common commands. */

static const struct scmi_command *find_command(
	const struct scmi_protocol *p, const struct scmi_agent *a, uint32_t id)
{
	for (const struct scmi_command *c = p->commands; c->run; c++)
		if (c->id == id && (a->p2a || !(c->flags & SCMI_NOTIFY)))
			return c;
	return NULL;
}

static int32_t get_version(struct scmi_msg *m)
{
	scmi_put(m, m->protocol->version);
	return SCMI_SUCCESS;
}

static int32_t get_attributes(struct scmi_msg *m)
{
	return m->protocol->attributes(m);
}

static const struct scmi_command common[];

static int32_t get_message_attributes(struct scmi_msg *m)
{
	const struct scmi_command *c = find_command(m->protocol, m->agent, scmi_param(m, 0));

	for (const struct scmi_command *k = common; !c && k->run; k++)
		if (k->id == scmi_param(m, 0))
			c = k;
	if (!c)
		return SCMI_NOT_FOUND;
	scmi_put(m, c->attributes);
	return SCMI_SUCCESS;
}

/* There is one version of each protocol. */
static int32_t negotiate(struct scmi_msg *m)
{
	return scmi_param(m, 0) == m->protocol->version ? SCMI_SUCCESS : SCMI_NOT_SUPPORTED;
}

static const struct scmi_command common[] = {
	{ SCMI_VERSION, .len = LEN_NONE, .run = get_version, .name = "PROTOCOL_VERSION" },
	{ SCMI_ATTRIBUTES, .len = LEN_NONE, .run = get_attributes, .name = "PROTOCOL_ATTRIBUTES" },
	{ SCMI_MSG_ATTRIBUTES, .len = LEN_ONE, .run = get_message_attributes,
		.name = "PROTOCOL_MESSAGE_ATTRIBUTES" },
	{ SCMI_NEGOTIATE, .len = LEN_ONE, .run = negotiate, .name = "NEGOTIATE_PROTOCOL_VERSION" },
	{ 0 },
};

static const struct scmi_command *command_of(const struct scmi_msg *m)
{
	for (const struct scmi_command *c = common; c->run; c++)
		if (c->id == SCMI_HDR_MESSAGE(m->hdr))
			return c;
	return find_command(m->protocol, m->agent, SCMI_HDR_MESSAGE(m->hdr));
}

/* The protocol of a message, if this agent has it. */
static const struct scmi_protocol *protocol_of(const struct scmi_msg *m)
{
	unsigned slot = SCMI_SLOT(SCMI_HDR_PROTOCOL(m->hdr));

	if (slot >= SCMI_SLOTS || !scmi_agent_has(m->agent, slot))
		return NULL;
	return scmi_protocols[slot];
}

static int32_t find_resource(struct scmi_msg *m)
{
	m->id = scmi_param(m, m->command->word);
	m->grant = scmi_agent_grant(m->agent, m->protocol, m->id);
	if (!m->grant)
		return SCMI_NOT_FOUND;
	m->res = m->grant->res;
	if (m->grant->access == SCMI_ACCESS_NONE)
		return SCMI_DENIED;
	if ((m->command->flags & SCMI_WRITE) && m->grant->access != SCMI_ACCESS_WRITE)
		return SCMI_DENIED;
	return SCMI_SUCCESS;
}

static int32_t run(struct scmi_msg *m)
{
	int32_t status;

	/* The four upper bits are reserved, and delayed responses and notifications are ours. */
	if (m->short_hdr || SCMI_HDR_TYPE(m->hdr) != SCMI_TYPE_COMMAND || m->hdr >> 28)
		return SCMI_PROTOCOL_ERROR;
	m->protocol = protocol_of(m);
	if (!m->protocol)
		return SCMI_NOT_SUPPORTED;
	m->command = command_of(m);
	if (!m->command)
		return SCMI_NOT_SUPPORTED;
	if (m->len != m->command->len)
		return SCMI_PROTOCOL_ERROR;
	if (m->command->flags & SCMI_RESOURCE) {
		status = find_resource(m);
		if (status)
			return status;
	}
	status = m->command->run(m);
	return !status && m->overflow ? SCMI_COMMS_ERROR : status;
}

static int32_t finish(struct scmi_msg *m, int32_t status)
{
	/* An error has no return values (VIRTIO 1.4, 5.17.6.1.1). */
	if (status)
		m->used = 0;
	if (status == SCMI_DENIED)
		scmi_agent_denied(m);
	return status;
}

int32_t scmi_run(struct scmi_msg *m)
{
	return finish(m, run(m));
}

int32_t scmi_complete(struct scmi_msg *m, scmi_fn fn)
{
	int32_t status = SCMI_SUCCESS;

	m->protocol = scmi_protocols[SCMI_SLOT(SCMI_HDR_PROTOCOL(m->hdr))];
	if (m->command->flags & SCMI_RESOURCE)
		status = find_resource(m);
	return finish(m, status ? status : fn(m));
}
