/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps of the system file: which keys are possible, and setting what is given. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/words.h"
#include "system/config_priv.h"

#define ALLOWED_MAX 900u
#define WHAT_MAX    1200u

void conf_slot_add(struct conf_slots *s, const struct conf_slot *slot)
{
	if (s->n < CONF_SLOTS_MAX)
		s->v[s->n++] = *slot;
}

void conf_slot_special(struct conf_slots *s, const char *key)
{
	conf_slot_add(s, &(struct conf_slot){ .key = key });
}

void conf_slot_table(
	struct conf_slots *s, const struct opt *table, void *base, struct conf_keys *keys)
{
	for (const struct opt *o = table; o->name; o++)
		conf_slot_add(s, &(struct conf_slot){ o->name, o, table, base, keys });
}

/* Puts it where its place in the file puts it. */
static void add_error(struct conf_errors *errors, unsigned line, unsigned column, const char *path,
	const char *what)
{
	struct conf_error new = { line, column, NULL };
	unsigned at = errors->n;

	if (asprintf(&new.text, "%s:%u:%u: %s", path, line, column, what) < 0) {
		errors->more++;
		return;
	}
	for (; at && (errors->v[at - 1].line > line ||
			     (errors->v[at - 1].line == line && errors->v[at - 1].column > column));
		at--)
		errors->v[at] = errors->v[at - 1];
	errors->v[at] = new;
	errors->n++;
}

void conf_error(struct conf_reader *r, unsigned line, unsigned column, const char *fmt, ...)
{
	struct conf_errors *errors = r->errors;
	char what[WHAT_MAX];
	va_list ap;

	if (errors->n == CONF_ERRORS_MAX) {
		errors->more++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (char *p = what; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	add_error(errors, line, column, r->conf->path, what);
}

bool conf_is_kind(
	struct conf_reader *r, const struct yaml_node *node, enum yaml_kind kind, const char *what)
{
	if (node->kind == kind)
		return true;
	CONF_ERROR_AT(r, node, "%s must be %s, not %s", what, yaml_kind_name(kind),
		yaml_kind_name(node->kind));
	return false;
}

bool conf_key_is_kind(
	struct conf_reader *r, const struct yaml_node *node, enum yaml_kind kind, const char *key)
{
	char what[64];

	snprintf(what, sizeof(what), "'%s'", key);
	return conf_is_kind(r, node, kind, what);
}

const struct yaml_node *conf_map_get(const struct yaml_node *map, const char *key)
{
	for (unsigned i = 0; i + 1 < map->n; i += 2)
		if (!strcmp(map->items[i]->text, key))
			return map->items[i + 1];
	return NULL;
}

void conf_check_duplicates(struct conf_reader *r, const struct yaml_node *map)
{
	for (unsigned i = 0; i < map->n; i += 2)
		for (unsigned k = 0; k < i; k += 2)
			if (!strcmp(map->items[i]->text, map->items[k]->text)) {
				CONF_ERROR_AT(r, map->items[i], "'%.64s' is already in line %u",
					map->items[i]->text, map->items[k]->line);
				break;
			}
}

static void unknown_key(
	struct conf_reader *r, const struct yaml_node *key, const struct conf_slots *s)
{
	const char *names[CONF_SLOTS_MAX], *near;
	char allowed[ALLOWED_MAX] = "";
	size_t used = 0;

	for (unsigned i = 0; i < s->n; i++) {
		names[i] = s->v[i].key;
		if (used < sizeof(allowed))
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
				i ? ", " : "", names[i]);
	}
	near = opt_nearest(key->text, names, s->n);
	if (near)
		CONF_ERROR_AT(r, key, "unknown key '%.64s' (did you mean '%s'?); allowed: %s",
			key->text, near, allowed);
	else
		CONF_ERROR_AT(r, key, "unknown key '%.64s'; allowed: %s", key->text, allowed);
}

/* `path` as it is from our folder, absolute; a file that exists by its plain name. Owned by the
 * caller. */
static char *resolve(const struct conf *conf, const char *path)
{
	char *full, *real;

	if (asprintf(&full, "%s%s%s", path[0] == '/' ? "" : conf->dir, path[0] == '/' ? "" : "/",
		    path) < 0)
		return NULL;
	real = realpath(full, NULL);
	if (!real)
		return full;
	free(full);
	return real;
}

/* Appends `len` bytes; false if memory is out. */
static bool append(char **text, const char *more, size_t len)
{
	char *all;

	if (asprintf(&all, "%s%.*s", *text, (int)len, more) < 0)
		return false;
	free(*text);
	*text = all;
	return true;
}

/* A line of words with the paths in its words file=PATH resolved. Owned by the caller. */
static char *resolve_files(const struct conf *conf, const char *line)
{
	char *out = strdup("");

	while (out && *line) {
		size_t blanks = strspn(line, " \t"), word = strcspn(line + blanks, " \t");
		bool file = word > strlen(WORDS_FILE) &&
			    !strncmp(line + blanks, WORDS_FILE, strlen(WORDS_FILE));
		size_t plain = blanks + (file ? strlen(WORDS_FILE) : word);
		autofree char *name = strndup(line + plain, blanks + word - plain);
		autofree char *path = file && name ? resolve(conf, name) : NULL;

		if (!name || (file && !path) || !append(&out, line, plain) ||
			(file && !append(&out, path, strlen(path)))) {
			free(out);
			return NULL;
		}
		line += blanks + word;
	}
	return out;
}

static int keep(struct conf_keys *keys, const struct conf_slot *slot, const struct yaml_node *at,
	char *value)
{
	struct conf_key *v = reallocarray(keys->v, keys->n + 1, sizeof(*v));

	if (!v) {
		free(value);
		return -ENOMEM;
	}
	keys->v = v;
	v[keys->n++] = (struct conf_key){ slot->opt, value, at->line, at->column };
	return 0;
}

static bool is_path(const struct opt *o, const char *text)
{
	for (unsigned i = 0; o->words && o->words[i]; i++)
		if (!strcmp(o->words[i], text))
			return false;
	return o->type == OPT_PATH;
}

/* The value as the processes get it. Owned by the caller. */
static char *value_of(const struct conf *conf, const struct opt *o, const char *text)
{
	if (o->flags & OPT_FILES)
		return resolve_files(conf, text);
	return is_path(o, text) ? resolve(conf, text) : strdup(text);
}

static void set_text(
	struct conf_reader *r, const struct conf_slot *slot, const struct yaml_node *at)
{
	char *value = value_of(r->conf, slot->opt, at->text);
	struct err e = { 0 };
	int ret = -ENOMEM;

	if (value)
		ret = opt_set(slot->table, slot->base, slot->opt->name, value, &e);
	if (ret)
		CONF_ERROR_AT(r, at, "%s", e.code ? e.msg : "out of memory");
	if (ret || !slot->keys) {
		free(value);
		return;
	}
	if (keep(slot->keys, slot, at, value))
		CONF_ERROR_AT(r, at, "out of memory");
}

void conf_slot_set(
	struct conf_reader *r, const struct conf_slot *slot, const struct yaml_node *value)
{
	if (value->kind == YAML_TEXT) {
		set_text(r, slot, value);
		return;
	}
	if (value->kind != YAML_LIST || slot->opt->type != OPT_LIST) {
		CONF_ERROR_AT(r, value, "'%s' must be %s, not %s", slot->key,
			slot->opt->type == OPT_LIST ? "a list of words" : "one word",
			yaml_kind_name(value->kind));
		return;
	}
	for (unsigned i = 0; i < value->n; i++)
		if (conf_is_kind(r, value->items[i], YAML_TEXT, "an entry of this list"))
			set_text(r, slot, value->items[i]);
}

/* Sets what the map says; keys that are read elsewhere are passed over. */
void conf_map_read(struct conf_reader *r, const struct yaml_node *map, const struct conf_slots *s)
{
	conf_check_duplicates(r, map);
	for (unsigned i = 0; i + 1 < map->n; i += 2) {
		const struct conf_slot *slot = NULL;

		for (unsigned k = 0; k < s->n && !slot; k++)
			if (!strcmp(s->v[k].key, map->items[i]->text))
				slot = &s->v[k];
		if (!slot)
			unknown_key(r, map->items[i], s);
		else if (slot->opt)
			conf_slot_set(r, slot, map->items[i + 1]);
	}
}

void conf_defaults(
	struct conf_reader *r, const struct yaml_node *at, const struct opt *table, void *base)
{
	struct err e = { 0 };

	if (opt_defaults(table, base, &e))
		CONF_ERROR_AT(r, at, "%s", e.msg);
}

void conf_required(struct conf_reader *r, const struct yaml_node *at, const struct opt *table,
	const void *base)
{
	for (const struct opt *o = table; o->name; o++) {
		const struct opt row[] = { *o, OPT_END };
		struct err e = { 0 };

		/* One that is there and wrong has had its error. */
		if (opt_check(row, base, &e) && !conf_map_get(at, o->name))
			CONF_ERROR_AT(r, at, "%s", e.msg);
	}
}
