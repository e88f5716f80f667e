/* SPDX-License-Identifier: BSD-3-Clause */
/* Base protocol (SCMI 4.2): who is there, which protocols, who may do what. */
#include <string.h>

#include "base/util.h"
#include "devices/scmi_agent.h"

#define VERSION 0x20001u

#define DISCOVER_VENDOR		  0x3
#define DISCOVER_SUB_VENDOR	  0x4
#define DISCOVER_IMPLEMENTATION	  0x5
#define DISCOVER_LIST_PROTOCOLS	  0x6
#define DISCOVER_AGENT		  0x7
#define NOTIFY_ERRORS		  0x8
#define SET_DEVICE_PERMISSIONS	  0x9
#define SET_PROTOCOL_PERMISSIONS  0xa
#define RESET_AGENT_CONFIGURATION 0xb

#define VENDOR		 "avp"
#define IMPLEMENTATION	 1u
#define FLAG_ALLOW	 1u /* of the commands that set permissions */
#define FLAG_PERMISSIONS 1u /* of RESET_AGENT_CONFIGURATION */

/* Protocols besides this one that the agent has. */
static unsigned list_protocols(const struct scmi_agent *a, uint8_t list[SCMI_SLOTS])
{
	unsigned n = 0;

	for (unsigned s = 1; s < SCMI_SLOTS; s++)
		if (scmi_agent_has(a, s))
			list[n++] = scmi_protocols[s]->id;
	return n;
}

static int32_t attributes(struct scmi_msg *m)
{
	uint8_t list[SCMI_SLOTS];

	scmi_put(m, list_protocols(m->agent, list) | (scmi_platform_agents(m->agent->platform) + 1)
							     << 8);
	return SCMI_SUCCESS;
}

static int32_t discover_vendor(struct scmi_msg *m)
{
	scmi_put_name(m, VENDOR, SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t discover_sub_vendor(struct scmi_msg *m)
{
	scmi_put_name(m, "", SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t discover_implementation(struct scmi_msg *m)
{
	scmi_put(m, IMPLEMENTATION);
	return SCMI_SUCCESS;
}

/* Four ids in a word, the last word filled up with zeroes. */
static int32_t discover_list(struct scmi_msg *m)
{
	uint8_t list[SCMI_SLOTS + 4] = { 0 };
	unsigned n = list_protocols(m->agent, list);
	uint32_t skip = scmi_param(m, 0), count;

	if (skip > n)
		return SCMI_INVALID_PARAMETERS;
	count = (uint32_t)min_u64(n - skip, scmi_room_for(m, 4, 4) * UINT64_C(4));
	if (n > skip && !count)
		return SCMI_COMMS_ERROR;
	scmi_put(m, count);
	for (uint32_t i = skip; i < skip + count; i += 4) {
		uint32_t word = 0;

		for (uint32_t k = 0; k < 4 && i + k < skip + count; k++)
			word |= (uint32_t)list[i + k] << 8 * k;
		scmi_put(m, word);
	}
	return SCMI_SUCCESS;
}

static int32_t discover_agent(struct scmi_msg *m)
{
	uint32_t id = scmi_param(m, 0);
	const struct scmi_agent *a;

	if (id == SCMI_AGENT_SELF)
		id = m->agent->id;
	a = scmi_platform_agent(m->agent->platform, id);
	if (!a && id != SCMI_AGENT_PLATFORM)
		return SCMI_NOT_FOUND;
	scmi_put(m, id);
	scmi_put_name(m, a ? a->name : "platform", SCMI_SHORT_NAME);
	return SCMI_SUCCESS;
}

static int32_t notify_errors(struct scmi_msg *m)
{
	uint32_t enable = scmi_param(m, 0);

	if (enable > 1)
		return SCMI_INVALID_PARAMETERS;
	m->agent->errors = enable;
	return SCMI_SUCCESS;
}

/* Only within what an agent may see: a resource that it was not given an id of stays unknown. */
static void permit(struct scmi_agent *a, uint32_t device, const struct scmi_protocol *p, bool allow)
{
	struct scmi_res *res;

	for (unsigned i = 0; (res = scmi_platform_member(a->platform, device, i)); i++) {
		struct scmi_grant *g = scmi_agent_grant_for(a, res);

		if (g && (!p || res->protocol == p))
			g->access = allow ? SCMI_ACCESS_WRITE : SCMI_ACCESS_NONE;
	}
}

static int32_t set_permissions(struct scmi_msg *m, const struct scmi_protocol *p, uint32_t flags)
{
	struct scmi_agent *a = scmi_platform_agent(m->agent->platform, scmi_param(m, 0));
	uint32_t device = scmi_param(m, 1);

	if (!m->agent->trusted)
		return SCMI_DENIED;
	if (!a || device >= scmi_platform_devices(m->agent->platform))
		return SCMI_NOT_FOUND;
	if (flags & ~FLAG_ALLOW)
		return SCMI_INVALID_PARAMETERS;
	permit(a, device, p, flags & FLAG_ALLOW);
	return SCMI_SUCCESS;
}

static int32_t set_device_permissions(struct scmi_msg *m)
{
	return set_permissions(m, NULL, scmi_param(m, 2));
}

static int32_t set_protocol_permissions(struct scmi_msg *m)
{
	uint32_t id = scmi_param(m, 2);
	unsigned slot = SCMI_SLOT(id);

	/* Access to the base protocol cannot be taken away (SCMI 4.2.2.11). */
	if (id <= UINT8_MAX && slot && slot < SCMI_SLOTS && scmi_protocols[slot])
		return set_permissions(m, scmi_protocols[slot], scmi_param(m, 3));
	if (!m->agent->trusted)
		return SCMI_DENIED;
	return id == SCMI_PROTOCOL_BASE ? SCMI_NOT_SUPPORTED : SCMI_NOT_FOUND;
}

static int32_t reset_configuration(struct scmi_msg *m)
{
	struct scmi_agent *a = scmi_platform_agent(m->agent->platform, scmi_param(m, 0));
	uint32_t flags = scmi_param(m, 1);

	if (!m->agent->trusted)
		return SCMI_DENIED;
	if (!a)
		return SCMI_NOT_FOUND;
	if (flags & ~FLAG_PERMISSIONS)
		return SCMI_INVALID_PARAMETERS;
	scmi_agent_forget(a);
	if (flags & FLAG_PERMISSIONS)
		scmi_agent_restore(a);
	return SCMI_SUCCESS;
}

static const struct scmi_command commands[] = {
	{ DISCOVER_VENDOR, .len = 0, .run = discover_vendor, .name = "BASE_DISCOVER_VENDOR" },
	{ DISCOVER_SUB_VENDOR, .len = 0, .run = discover_sub_vendor,
		.name = "BASE_DISCOVER_SUB_VENDOR" },
	{ DISCOVER_IMPLEMENTATION, .len = 0, .run = discover_implementation,
		.name = "BASE_DISCOVER_IMPLEMENTATION_VERSION" },
	{ DISCOVER_LIST_PROTOCOLS, .len = 4, .run = discover_list,
		.name = "BASE_DISCOVER_LIST_PROTOCOLS" },
	{ DISCOVER_AGENT, .len = 4, .run = discover_agent, .name = "BASE_DISCOVER_AGENT" },
	{ NOTIFY_ERRORS, SCMI_NOTIFY, .len = 4, .run = notify_errors,
		.name = "BASE_NOTIFY_ERRORS" },
	{ SET_DEVICE_PERMISSIONS, .len = 12, .run = set_device_permissions,
		.name = "BASE_SET_DEVICE_PERMISSIONS" },
	{ SET_PROTOCOL_PERMISSIONS, .len = 16, .run = set_protocol_permissions,
		.name = "BASE_SET_PROTOCOL_PERMISSIONS" },
	{ RESET_AGENT_CONFIGURATION, .len = 8, .run = reset_configuration,
		.name = "BASE_RESET_AGENT_CONFIGURATION" },
	{ 0 },
};

const struct scmi_protocol scmi_base = {
	.id = SCMI_PROTOCOL_BASE,
	.version = VERSION,
	.name = "base",
	.commands = commands,
	.attributes = attributes,
};
