/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system file: from the YAML tree to structures. Which keys there are is said by the option
 * tables of those who use them (vm_opts, the media, the device classes, conf_*.c); here and in
 * config_vm.c and config_device.c is only the shape.
 */
#include "system/config.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"

#define SYSTEM(f) offsetof(struct conf, f)
static const struct opt system_opts[] = {
	{ .name = "name", .type = OPT_STR, .offset = SYSTEM(name), .help = "name of the system" },
	{ .name = "jail",
		.type = OPT_ENUM,
		.offset = SYSTEM(jail),
		.words = jail_mode_words,
		.def = "best-effort",
		.help = "what a layer of the jail that is missing means" },
	{ .name = "grace",
		.type = OPT_TIME,
		.offset = SYSTEM(grace_ms),
		.def = "10s",
		.max = 3600000,
		.help = "from the power button to force" },
	{ .name = "event-log",
		.type = OPT_PATH,
		.offset = SYSTEM(event_log),
		.help = "file that keeps the events beyond the run" },
	OPT_END,
};

const struct conf_section conf_system_sections[] = {
	{ .table = system_opts },
	{ .table = conf_isolation_opts, .offset = SYSTEM(isolation) },
	{ .name = "thermal",
		.table = conf_thermal_opts,
		.offset = SYSTEM(thermal),
		.read = conf_thermal_read,
		.free = conf_thermal_free },
	{ .name = NULL },
};

bool conf_good_name(struct conf_reader *r, const struct yaml_node *at, const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (len && len <= CONF_NAME_MAX && !name[len] && name[0] != '-')
		return true;
	CONF_ERROR_AT(r, at, "'%.64s' cannot be a name: up to %u letters, digits, _ and -", name,
		CONF_NAME_MAX);
	return false;
}

/* Of all media; cli/medium.c has the same key. */
static const struct opt common_medium_opts[] = { VDEV_POLL_OPT(0), OPT_END };

static void read_medium(struct conf_reader *r, const struct yaml_node *map, struct conf_medium *m)
{
	autofree void *scratch = calloc(1, m->cls->config_size);
	struct conf_slots s = { .n = 0 };
	char what[64];
	uint32_t poll;

	/* `car:` alone is a medium with nothing but defaults. */
	if (map->kind == YAML_TEXT && !*map->text)
		return;
	snprintf(what, sizeof(what), "an entry of '%s'", m->cls->section);
	if (!conf_is_kind(r, map, YAML_MAP, what))
		return;
	if (!scratch) {
		CONF_ERROR_AT(r, map, "out of memory");
		return;
	}
	conf_defaults(r, map, m->cls->opts, scratch);
	conf_slot_table(&s, m->cls->opts, scratch, &m->keys);
	conf_slot_table(&s, common_medium_opts, &poll, &m->keys);
	conf_map_read(r, map, &s);
	conf_required(r, map, m->cls->opts, scratch);
	opt_free(m->cls->opts, scratch);
}

/* The named entries of `vms:` or a section of media: checks their names, returns their number or 0.
 */
static unsigned count_entries(
	struct conf_reader *r, const struct yaml_node *map, const char *section, unsigned max)
{
	if (!map || !conf_key_is_kind(r, map, YAML_MAP, section))
		return 0;
	conf_check_duplicates(r, map);
	if (map->n / 2 > max) {
		CONF_ERROR_AT(r, map, "%u entries in '%s'; at most %u are possible", map->n / 2,
			section, max);
		return 0;
	}
	for (unsigned i = 0; i < map->n; i += 2)
		conf_good_name(r, map->items[i], map->items[i]->text);
	return map->n / 2;
}

static void read_vms(struct conf_reader *r, const struct yaml_node *map)
{
	struct conf *c = r->conf;
	unsigned n = count_entries(r, map, "vms", CONF_VMS_MAX);

	c->vms = calloc(n + 1, sizeof(*c->vms));
	if (!c->vms)
		conf_error(r, 1, 1, "out of memory");
	for (unsigned i = 0; c->vms && i < n; i++) {
		struct conf_vm *vm = &c->vms[c->nvms++];

		vm->name = strdup(map->items[2 * i]->text);
		vm->line = map->items[2 * i]->line;
		vm->column = map->items[2 * i]->column;
		conf_read_vm(r, map->items[2 * i + 1], vm);
	}
}

static void read_media(
	struct conf_reader *r, const struct yaml_node *root, const struct medium_class *cls)
{
	const struct yaml_node *map = conf_map_get(root, cls->section);
	struct conf *c = r->conf;
	unsigned n = count_entries(r, map, cls->section, CONF_MEDIA_MAX - c->nmedia);

	for (unsigned i = 0; i < n; i++) {
		struct conf_medium *m = &c->media[c->nmedia++];

		m->cls = cls;
		m->name = strdup(map->items[2 * i]->text);
		m->line = map->items[2 * i]->line;
		m->column = map->items[2 * i]->column;
		read_medium(r, map->items[2 * i + 1], m);
	}
}

/* The file's name without folder and suffix. */
static char *name_of_file(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return strndup(base, strcspn(base, "."));
}

static void read_system(struct conf_reader *r, const struct yaml_node *root)
{
	const struct yaml_node *vms;
	struct conf_slots s = { .n = 0 };

	if (!conf_is_kind(r, root, YAML_MAP, "a system file"))
		return;
	conf_sections_defaults(r, root, conf_system_sections, r->conf);
	conf_sections_slots(&s, conf_system_sections, r->conf, &r->conf->given);
	conf_slot_special(&s, "vms");
	for (const struct medium_class *m = medium_classes; m->section; m++)
		conf_slot_special(&s, m->section);
	conf_map_read(r, root, &s);
	conf_sections_read(r, root, conf_system_sections, r->conf, &r->conf->given);
	if (!r->conf->name)
		r->conf->name = name_of_file(r->conf->path);
	if (r->conf->name)
		conf_good_name(r, conf_map_get(root, "name") ? conf_map_get(root, "name") : root,
			r->conf->name);
	for (const struct medium_class *m = medium_classes; m->section; m++)
		read_media(r, root, m);
	vms = conf_map_get(root, "vms");
	read_vms(r, vms);
	if (!vms)
		CONF_ERROR_AT(r, root, "the file needs 'vms', a map of virtual machines");
	else if (vms->kind == YAML_MAP && !vms->n)
		CONF_ERROR_AT(r, vms, "'vms' is empty; there is nothing to run");
}

static struct conf *conf_new(const char *path)
{
	struct conf *c = calloc(1, sizeof(*c));
	char *folder, *slash;

	if (!c)
		return NULL;
	c->path = strdup(path);
	folder = strdup(path);
	slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	c->dir = realpath(slash ? folder : ".", NULL);
	c->media = calloc(CONF_MEDIA_MAX, sizeof(*c->media));
	free(folder);
	if (c->path && c->dir && c->media)
		return c;
	conf_free(c);
	return NULL;
}

int conf_read(struct conf **out, const char *path, struct conf_errors *errors)
{
	struct conf_reader r = { .conf = NULL, .errors = errors };
	struct yaml_node *root = NULL;
	struct err e = { 0 };
	int ret = yaml_read(&root, path, &e);

	*out = NULL;
	if (!ret) {
		r.conf = conf_new(path);
		if (!r.conf)
			ret = err_set(&e, -ENOMEM, "%s: out of memory", path);
	}
	if (ret) {
		yaml_free(root);
		errors->v[errors->n].text = strdup(e.msg);
		errors->n += errors->v[errors->n].text != NULL;
		return ret;
	}
	read_system(&r, root);
	if (!errors->n)
		conf_check(&r);
	yaml_free(root);
	if (errors->n || errors->more) {
		conf_free(r.conf);
		return -EINVAL;
	}
	*out = r.conf;
	return 0;
}
