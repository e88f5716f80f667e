/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCMI platforms for those who own one (docs/devices/scmi.md): a device that has its own, or the
 * process behind which several VMs share one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "devices/scmi_sensor.h"
#include "virtio/device.h"

/* What a platform has. Each list describes one resource per item, a name and words; see the page.
 */
struct scmi_config {
	struct opt_list power_domains, perf, clocks, resets, voltages, powercaps;
	bool system_power;
	struct opt_list devices; /* groups of resources, for BASE_SET_DEVICE_PERMISSIONS */
	struct scmi_sensor_config sensor;
};

/* Rows of an option table for a struct scmi_config that is `member` of `owner`. */
#define SCMI_CONFIG_OPTS(owner, member)                                                            \
	{ .name = "power-domains",                                                                 \
		.type = OPT_LIST,                                                                  \
		.offset = offsetof(owner, member.power_domains),                                   \
		.help = "power domains, as \"gpu state=off latency=100us\"" },                     \
		{ .name = "perf",                                                                  \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.perf),                                    \
			.help = "performance domains, as \"cpu levels=400:50:20/800:210:20\"" },   \
		{ .name = "clocks",                                                                \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.clocks),                                  \
			.help = "clocks, as \"uart rate=48000000 rates=24000000/48000000\"" },     \
		{ .name = "resets",                                                                \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.resets),                                  \
			.help = "reset domains, as \"camera latency=50us\"" },                     \
		{ .name = "voltages",                                                              \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.voltages),                                \
			.help = "voltage domains, as \"vdd levels=1800000/3300000\"" },            \
		{ .name = "powercaps",                                                             \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.powercaps),                               \
			.help = "power caps, as \"soc caps=1000/15000/100\"" },            \
		{ .name = "system-power",                                                          \
			.type = OPT_BOOL,                                                          \
			.offset = offsetof(owner, member.system_power),                            \
			.help = "the agents may be told to shut down, and may ask for it" },       \
		{ .name = "devices",                                                               \
			.type = OPT_LIST,                                                          \
			.offset = offsetof(owner, member.devices),                                 \
			.help = "groups of resources, as \"camera clock:cam power:cam\"" },        \
		SCMI_SENSOR_OPTS(owner, member.sensor)

/* Of a struct scmi_config that is by itself. */
extern const struct opt scmi_platform_opts[];

struct scmi_platform;

/* Records what happened, with `arg` of scmi_platform_watch(). */
typedef void (*scmi_event_fn)(void *arg, const char *event, const char *detail);

/* Makes a platform. `config` and `log` outlive it. -EINVAL with a reason for a bad description. */
int scmi_platform_open(struct scmi_platform **p, const struct scmi_config *config,
	struct ev_loop *loop, const struct log *log, struct err *e);
/* Who gets the events of the platform itself, as when a sensor's source is gone. */
void scmi_platform_watch(struct scmi_platform *p, scmi_event_fn fn, void *arg);
/* All devices on it are gone. Accepts NULL. */
void scmi_platform_close(struct scmi_platform *p);
/* Words of the operator: "show", "clock uart rate 24000000", "shutdown graceful", ... */
int scmi_platform_command(
	struct scmi_platform *p, unsigned argc, char **argv, FILE *answer, struct err *e);

/* What an agent finds, for a description of its machine. */
struct scmi_summary {
	uint32_t protocols; /* bit i: protocol 0x10 + i */
	unsigned voltages;  /* voltage domains */
};

#define SCMI_SUMMARY_PROTOCOLS 9u
/* Their names, by bit: "base", "power", ... */
extern const char *const scmi_summary_names[SCMI_SUMMARY_PROTOCOLS];

/* Summarizes without opening anything. `grants` NULL: everything. */
int scmi_summarize(struct scmi_summary *s, const struct scmi_config *config,
	const struct opt_list *grants, struct err *e);

/* Makes `dev` an agent of this platform, in place of one of its own. Between vdev_new() and
 * vdev_init(); the platform outlives the device. */
void scmi_attach(struct vdev *dev, struct scmi_platform *p);
