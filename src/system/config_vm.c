/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VM of the system file. Its keys are rows of tables: those of the monitor are vm_opts, of which
 * some stand in sections (vm_aliases); those of the supervisor have tables of their own
 * (conf_vm_sections, in files conf_*.c). A new key is a row, a new section a line and a table.
 */
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"

#define VM(f) offsetof(struct conf_vm, f)

/* A section without a table and a function is the monitor's: its keys are in vm_aliases. */
const struct conf_section conf_vm_sections[] = {
	{ .name = "boot" },
	{ .name = "cpus", .word = "count" },
	{ .table = conf_policy_opts, .offset = VM(policy) },
	{ .name = "after", .offset = VM(policy), .read = conf_after_read, .free = conf_after_free },
	{ .name = "ready",
		.table = conf_ready_opts,
		.offset = VM(policy.ready),
		.check = conf_ready_check },
	{ .name = "sched" },
	{ .name = "llc-budget" },
	{ .name = "cgroup",
		.table = conf_cgroup_opts,
		.offset = VM(cgroup),
		.check = conf_cgroup_check },
	{ .name = "resctrl",
		.table = conf_resctrl_opts,
		.offset = VM(resctrl),
		.check = conf_resctrl_check },
	{ .name = "watchdog" },
	{ .name = NULL },
};

/* Keys of vm_opts that the file has in a section. One without `key` is set by the section's being
 * there: its value is "true". */
static const struct {
	const char *section, *key, *opt;
} vm_aliases[] = {
	{ "boot", "kernel", "kernel" },
	{ "boot", "initrd", "initrd" },
	{ "boot", "cmdline", "cmdline" },
	{ "boot", "firmware", "firmware" },
	{ "boot", "vars", "vars" },
	{ "boot", "dtb", "dtb" },
	{ "boot", "load-address", "load-address" },
	{ "boot", "entry", "entry" },
	{ "boot", "key", "verify-key" },
	{ "boot", "manifest", "manifest" },
	{ "boot", "min-version", "manifest-version" },
	{ "watchdog", NULL, "watchdog" },
	{ "watchdog", "action", "watchdog-action" },
	{ "watchdog", "pretimeout", "watchdog-pretimeout" },
	{ "cpus", "count", "cpus" },
	{ "cpus", "host", "cpu-host" },
	{ "sched", "policy", "sched-policy" },
	{ "sched", "priority", "sched-priority" },
	{ "sched", "devices", "sched-devices" },
	{ "llc-budget", "misses", "llc-misses" },
	{ "llc-budget", "period", "llc-period" },
	{ "llc-budget", "event", "llc-event" },
};

static struct conf_slot vm_slot(struct conf_vm *vm, const char *key, const struct opt *o)
{
	return (struct conf_slot){ key, o, vm_opts, &vm->machine, &vm->keys };
}

static bool in_section(const struct opt *o)
{
	for (unsigned i = 0; i < ARRAY_LEN(vm_aliases); i++)
		if (!strcmp(vm_aliases[i].opt, o->name))
			return true;
	return false;
}

/* The monitor's keys in `section`; `node` is what the file has there. */
static void read_monitor_section(struct conf_reader *r, const struct yaml_node *node,
	const struct conf_section *section, struct conf_vm *vm)
{
	const struct yaml_node present = { .kind = YAML_TEXT,
		.text = (char[]){ "true" },
		.line = node->line,
		.column = node->column };
	struct conf_slots s = { .n = 0 };

	for (unsigned i = 0; i < ARRAY_LEN(vm_aliases); i++) {
		const struct opt *o = opt_find(vm_opts, vm_aliases[i].opt);
		struct conf_slot slot = vm_slot(vm, vm_aliases[i].key, o);

		if (strcmp(vm_aliases[i].section, section->name) != 0)
			continue;
		if (slot.key)
			conf_slot_add(&s, &slot);
		else
			conf_slot_set(r, &slot, &present);
	}
	conf_section_read(r, node, section, &s);
}

void conf_read_vm(struct conf_reader *r, const struct yaml_node *map, struct conf_vm *vm)
{
	const struct yaml_node *node;
	struct conf_slots s = { .n = 0 };

	if (!conf_is_kind(r, map, YAML_MAP, "a VM"))
		return;
	conf_defaults(r, map, vm_opts, &vm->machine);
	conf_sections_defaults(r, map, conf_vm_sections, vm);
	conf_sections_slots(&s, conf_vm_sections, vm, &vm->given);
	conf_slot_special(&s, "devices");
	for (const struct opt *o = vm_opts; o->name; o++)
		if (!in_section(o))
			conf_slot_add(&s, (struct conf_slot[]){ vm_slot(vm, o->name, o) });
	conf_map_read(r, map, &s);
	for (const struct conf_section *o = conf_vm_sections; o->name || o->table; o++) {
		node = o->table || o->read ? NULL : conf_map_get(map, o->name);
		if (node)
			read_monitor_section(r, node, o, vm);
	}
	conf_sections_read(r, map, conf_vm_sections, vm, &vm->given);
	conf_required(r, map, vm_opts, &vm->machine);
	node = conf_map_get(map, "devices");
	if (node)
		conf_read_devices(r, node, vm);
}
