/* SPDX-License-Identifier: BSD-3-Clause */
/* Agents of an SCMI platform: what the device, the engine and the platform need of them. */
#pragma once

#include "devices/scmi_priv.h"

struct scmi_view {
	struct scmi_grant *grants;
	unsigned n;
};

/* How a message reaches the agent. */
struct scmi_agent_ops {
	/* A notification or delayed response: header, then payload. With `latest`, it may replace
	 * one that waits and has the same header and first two words. */
	void (*send)(
		struct scmi_agent *a, uint32_t hdr, const void *payload, uint32_t len, bool latest);
	/* Something that the operator should know; limited by the caller. */
	void (*event)(struct scmi_agent *a, const char *event, const char *detail);
};

/* A delayed response under way. */
struct scmi_delayed {
	struct scmi_agent *agent;
	struct ev_timer timer;
	scmi_fn complete;
	bool busy, wanted; /* under way; its result is to be sent */
	uint32_t hdr;
	const struct scmi_command *command;
	uint32_t len;
	uint8_t params[SCMI_PARAMS_MAX];
};

/* One who sends commands. Embedded in its device. */
struct scmi_agent {
	struct scmi_platform *platform;
	const struct scmi_agent_ops *ops;
	uint32_t id; /* from 1 */
	char name[SCMI_SHORT_NAME];
	bool trusted;  /* may change what others may do */
	bool p2a;      /* notifications and delayed responses reach it */
	bool errors;   /* wants BASE_ERROR_EVENT */
	bool attached; /* is in the platform's list */
	bool up;       /* its driver is there */
	struct scmi_view views[SCMI_SLOTS];
	struct scmi_delayed *delayed; /* SCMI_DELAYED_MAX */
	unsigned unsent;	      /* delayed responses that wait for a buffer */
	struct log_limit complaints;
	uint64_t denied; /* commands */
};

/* What an agent is allowed: `grants` as in "clock:uart", "sensor:*=read"; `all` instead of them
 * gives it everything. `name` is cut to 15 bytes. `ops` outlives the agent. */
struct scmi_agent_config {
	const char *name;
	const struct opt_list *grants;
	bool all, trusted;
};

/* Adds a zeroed agent to the platform. -EINVAL with a reason. scmi_agent_close() in any case. */
int scmi_agent_open(struct scmi_agent *a, struct scmi_platform *p,
	const struct scmi_agent_config *config, const struct scmi_agent_ops *ops, struct err *e);
void scmi_agent_close(struct scmi_agent *a);
/* Its device was reset: votes, subscriptions and delayed responses are gone. */
void scmi_agent_reset(struct scmi_agent *a);
/* Votes and subscriptions only. */
void scmi_agent_forget(struct scmi_agent *a);
/* Permissions as the configuration gives them. */
void scmi_agent_restore(struct scmi_agent *a);

/* True if the agent has this protocol: the base protocol, or one with a resource in its view. */
bool scmi_agent_has(const struct scmi_agent *a, unsigned slot);
/* What the agent calls `id`, or NULL. */
struct scmi_grant *scmi_agent_grant(
	struct scmi_agent *a, const struct scmi_protocol *p, uint32_t id);
/* Its grant for a resource, or NULL. */
struct scmi_grant *scmi_agent_grant_for(struct scmi_agent *a, const struct scmi_res *res);
/* Records that a command was denied. */
void scmi_agent_denied(struct scmi_msg *m);

/* Runs the command in `m` (agent, hdr, len, params and room are set, the rest zeroed) and returns
 * its status; return values are in m->ret[0..used). */
int32_t scmi_run(struct scmi_msg *m);
/* The end of an asynchronous command, as scmi_run(); m->command is set, too. */
int32_t scmi_complete(struct scmi_msg *m, scmi_fn fn);

/* The platform's side. */

int scmi_platform_add(struct scmi_platform *p, struct scmi_agent *a, struct err *e);
void scmi_platform_remove(struct scmi_platform *p, struct scmi_agent *a);
/* The agent with this id, or NULL. */
struct scmi_agent *scmi_platform_agent(const struct scmi_platform *p, uint32_t id);
/* Agents that there are, the platform itself not counted. */
unsigned scmi_platform_agents(const struct scmi_platform *p);
/* Resources of a slot. */
unsigned scmi_platform_count(const struct scmi_platform *p, unsigned slot);
struct scmi_res *scmi_platform_res(const struct scmi_platform *p, unsigned slot, unsigned i);
/* By "clock:uart"; NULL with a reason. */
struct scmi_res *scmi_platform_find(const struct scmi_platform *p, const char *text, struct err *e);
/* The platform's sensors: their sources. */
struct sensors *scmi_platform_sensors(const struct scmi_platform *p);
/* The agent's driver has come up, or is gone. When all are there a recording may begin. */
void scmi_platform_up(struct scmi_platform *p, struct scmi_agent *a, bool up);
/* Groups for BASE_SET_DEVICE_PERMISSIONS: member `i` of device `device`, NULL at the end. */
unsigned scmi_platform_devices(const struct scmi_platform *p);
struct scmi_res *scmi_platform_member(const struct scmi_platform *p, unsigned device, unsigned i);
