/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between config.c, config_vm.c and config_device.c (the shape of a system file), config_map.c
 * (maps and their keys), config_section.c (sections), conf_*.c (keys of one section) and
 * config_check.c (what must hold across the file).
 */
#pragma once

#include "system/config.h"
#include "system/yaml_tree.h"

#define CONF_SLOTS_MAX 128u

/* One reading of a file. */
struct conf_reader {
	struct conf *conf;
	struct conf_errors *errors;
};

/* A key that is possible in a map. Without `opt` its value is read elsewhere. */
struct conf_slot {
	const char *key;
	const struct opt *opt;
	const struct opt *table;
	void *base;
	struct conf_keys *keys; /* where the text is kept for the command line, or NULL */
};

struct conf_slots {
	struct conf_slot v[CONF_SLOTS_MAX];
	unsigned n;
};

/* config_map.c */

/* Adds "FILE:LINE:COLUMN: message". */
void conf_error(struct conf_reader *r, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define CONF_ERROR_AT(r, node, ...) conf_error((r), (node)->line, (node)->column, __VA_ARGS__)

/* Make keys possible: one row, one that is read elsewhere, a whole table. */
void conf_slot_add(struct conf_slots *s, const struct conf_slot *slot);
void conf_slot_special(struct conf_slots *s, const char *key);
void conf_slot_table(
	struct conf_slots *s, const struct opt *table, void *base, struct conf_keys *keys);
/* Sets one key from its value in the file. */
void conf_slot_set(
	struct conf_reader *r, const struct conf_slot *slot, const struct yaml_node *value);
/* Sets what the map says; keys that are read elsewhere are passed over, unknown ones are errors. */
void conf_map_read(struct conf_reader *r, const struct yaml_node *map, const struct conf_slots *s);
/* The value of a key, or NULL. */
const struct yaml_node *conf_map_get(const struct yaml_node *map, const char *key);
void conf_check_duplicates(struct conf_reader *r, const struct yaml_node *map);
/* False, with an error, if it is something else. */
bool conf_is_kind(
	struct conf_reader *r, const struct yaml_node *node, enum yaml_kind kind, const char *what);
/* The same for the value of a key. */
bool conf_key_is_kind(
	struct conf_reader *r, const struct yaml_node *node, enum yaml_kind kind, const char *key);
/* opt_defaults() and opt_check() with errors at `at`. */
void conf_defaults(
	struct conf_reader *r, const struct yaml_node *at, const struct opt *table, void *base);
void conf_required(struct conf_reader *r, const struct yaml_node *at, const struct opt *table,
	const void *base);

/* config_section.c */

/* Makes a list's keys possible in the map that `base` is read from. */
void conf_sections_slots(struct conf_slots *s, const struct conf_section *sections, void *base,
	struct conf_keys *given);
void conf_sections_defaults(struct conf_reader *r, const struct yaml_node *map,
	const struct conf_section *sections, void *base);
/* Reads all sections of `map` but the monitor's. */
void conf_sections_read(struct conf_reader *r, const struct yaml_node *map,
	const struct conf_section *sections, void *base, struct conf_keys *given);
/* Reads one section whose keys are `s`; one with nothing in it is as {}. */
void conf_section_read(struct conf_reader *r, const struct yaml_node *node,
	const struct conf_section *section, const struct conf_slots *s);
void conf_sections_free(const struct conf_section *sections, void *base);

/* conf_policy.c */

/* The index of a VM; CONF_VMS_MAX, with an error, if there is none. */
unsigned conf_find_vm(struct conf_reader *r, unsigned line, unsigned column, const char *name);

/* config.c, config_vm.c, config_device.c */

/* False, with an error, if `name` is too long or has bytes that a name cannot have. */
bool conf_good_name(struct conf_reader *r, const struct yaml_node *at, const char *name);
void conf_read_vm(struct conf_reader *r, const struct yaml_node *map, struct conf_vm *vm);
void conf_read_devices(struct conf_reader *r, const struct yaml_node *list, struct conf_vm *vm);

/* conf_policy.c */

void conf_after_read(struct conf_reader *r, const struct yaml_node *node, void *policy);
void conf_after_free(void *policy);
void conf_ready_check(struct conf_reader *r, const struct yaml_node *node, void *ready);
/* Names in `after`, `ready` and `fallback` must be there, and have an order. */
void conf_policy_check(struct conf_reader *r);
/* GPIO lines and nets, and that they fit (config_wires.c). */
void conf_wires_check(struct conf_reader *r);

/* config_check.c */

/* Names, addresses, images and switches must fit together. */
void conf_check(struct conf_reader *r);
