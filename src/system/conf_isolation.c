/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of `cgroup:`, `resctrl:` and `isolation:` (docs/isolation.md). */
#include "system/conf_isolation.h"

#include <string.h>

#include "system/config_priv.h"

#define CGROUP(f) offsetof(struct cgroup_limits, f)
const struct opt conf_cgroup_opts[] = {
	{ .name = "cpu-weight",
		.type = OPT_U32,
		.offset = CGROUP(cpu_weight),
		.min = 1,
		.max = 10000,
		.help = "share of processor time when it is scarce; who says nothing has 100" },
	{ .name = "cpu-max",
		.type = OPT_U32,
		.offset = CGROUP(cpu_max),
		.min = 1,
		.max = 100000,
		.help = "most processor time, in percent of one host CPU" },
	{ .name = "memory-max",
		.type = OPT_SIZE,
		.offset = CGROUP(memory_max),
		.min = 1 << 20,
		.max = UINT64_C(1) << 44,
		.help = "most memory; beyond it a process is killed" },
	{ .name = "memory-high",
		.type = OPT_SIZE,
		.offset = CGROUP(memory_high),
		.min = 1 << 20,
		.max = UINT64_C(1) << 44,
		.help = "memory beyond which the processes are slowed down" },
	{ .name = "cpuset",
		.type = OPT_STR,
		.offset = CGROUP(cpuset),
		.help = "host CPUs for all processes of the VM, as in 0-2,5" },
	OPT_END,
};

#define RESCTRL(f) offsetof(struct resctrl_limits, f)
const struct opt conf_resctrl_opts[] = {
	{ .name = "l2",
		.type = OPT_STR,
		.offset = RESCTRL(l2),
		.help = "share or mask of the level 2 cache: 50%, ff0, 0=ff0;1=f" },
	{ .name = "l3",
		.type = OPT_STR,
		.offset = RESCTRL(l3),
		.help = "share or mask of the level 3 cache, likewise" },
	{ .name = "mb",
		.type = OPT_STR,
		.offset = RESCTRL(mb),
		.help = "memory bandwidth, in the host's unit: 40, 0=40;1=80" },
	OPT_END,
};

const struct opt conf_isolation_opts[] = {
	{ .name = "isolation",
		.type = OPT_ENUM,
		.offset = 0,
		.words = vm_isolation_words,
		.def = "best-effort",
		.help = "required: an error if the host cannot isolate as told" },
	OPT_END,
};

/* "0-2,5": numbers and ranges. */
static bool is_cpu_list(const char *p)
{
	do {
		size_t digits = strspn(p, "0123456789");

		p += digits;
		if (digits && *p == '-') {
			digits = strspn(p + 1, "0123456789");
			p += 1 + digits;
		}
		if (!digits)
			return false;
	} while (*p++ == ',');
	return !p[-1];
}

/* Where a key of a map is, or the map. */
static const struct yaml_node *at(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = conf_map_get(map, key);

	return node ? node : map;
}

void conf_cgroup_check(struct conf_reader *r, const struct yaml_node *node, void *section)
{
	const struct cgroup_limits *l = section;

	if (l->cpuset && !is_cpu_list(l->cpuset))
		CONF_ERROR_AT(r, at(node, "cpuset"),
			"cpuset: '%.64s' is no list of host CPUs, as in 0-2,5", l->cpuset);
	if (l->memory_max && l->memory_high > l->memory_max)
		CONF_ERROR_AT(r, at(node, "memory-high"), "memory-high is more than memory-max");
}

void conf_resctrl_check(struct conf_reader *r, const struct yaml_node *node, void *section)
{
	const char *key = NULL;
	struct err e = { 0 };

	if (resctrl_limits_check(section, &key, &e))
		CONF_ERROR_AT(r, at(node, key), "%s", e.msg);
}

int conf_isolation(const struct conf *conf, const struct conf_vm *vm)
{
	return conf_key_find(&vm->keys, "isolation") ? vm->machine.isolation : conf->isolation;
}
