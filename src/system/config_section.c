/* SPDX-License-Identifier: BSD-3-Clause */
/* Sections of a VM and of the system: maps whose keys stand in a table of their own. */
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"

static void *into(const struct conf_section *section, void *base)
{
	return (char *)base + section->offset;
}

static bool is_empty_text(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT && !*node->text;
}

static const struct conf_slot *find_slot(const struct conf_slots *s, const char *key)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].key, key))
			return &s->v[i];
	return NULL;
}

void conf_section_read(struct conf_reader *r, const struct yaml_node *node,
	const struct conf_section *section, const struct conf_slots *s)
{
	const struct conf_slot *word = section->word ? find_slot(s, section->word) : NULL;

	if (is_empty_text(node))
		return;
	if (node->kind == YAML_TEXT && word)
		conf_slot_set(r, word, node);
	else if (conf_key_is_kind(r, node, YAML_MAP, section->name))
		conf_map_read(r, node, s);
}

void conf_sections_slots(struct conf_slots *s, const struct conf_section *sections, void *base,
	struct conf_keys *given)
{
	for (const struct conf_section *o = sections; o->name || o->table; o++) {
		if (o->name)
			conf_slot_special(s, o->name);
		else
			conf_slot_table(s, o->table, into(o, base), given);
	}
}

void conf_sections_defaults(struct conf_reader *r, const struct yaml_node *map,
	const struct conf_section *sections, void *base)
{
	for (const struct conf_section *o = sections; o->name || o->table; o++)
		if (o->table)
			conf_defaults(r, map, o->table, into(o, base));
}

static void read_table(struct conf_reader *r, const struct yaml_node *node,
	const struct conf_section *section, void *base, struct conf_keys *given)
{
	struct conf_slots s = { .n = 0 };

	conf_slot_table(&s, section->table, base, given);
	conf_section_read(r, node, section, &s);
	conf_required(r, node, section->table, base);
}

void conf_sections_read(struct conf_reader *r, const struct yaml_node *map,
	const struct conf_section *sections, void *base, struct conf_keys *given)
{
	for (const struct conf_section *o = sections; o->name || o->table; o++) {
		const struct yaml_node *node = o->name ? conf_map_get(map, o->name) : map;

		if (!node)
			continue;
		if (o->read)
			o->read(r, node, into(o, base));
		else if (o->name && o->table)
			read_table(r, node, o, into(o, base), given);
		if (o->check)
			o->check(r, node, into(o, base));
	}
}

void conf_sections_free(const struct conf_section *sections, void *base)
{
	for (const struct conf_section *o = sections; o->name || o->table; o++) {
		if (o->table)
			opt_free(o->table, into(o, base));
		if (o->free)
			o->free(into(o, base));
	}
}
