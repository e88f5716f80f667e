/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system file: from the YAML tree to structures. Which keys there are is said by the option
 * tables of those who use them (vm_opts, switch_opts, the device classes); here is only the shape.
 */
#include "system/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/util.h"
#include "host/switch.h"
#include "system/config_priv.h"

#define SLOTS_MAX   96u
#define ALLOWED_MAX 400u

static const char *const restart_words[] = { "no", "on-failure", "always", NULL };

#define SYSTEM(f) offsetof(struct conf, f)
static const struct opt system_opts[] = {
	{ .name = "name", .type = OPT_STR, .offset = SYSTEM(name), .help = "name of the system" },
	{ .name = "jail",
		.type = OPT_ENUM,
		.offset = SYSTEM(jail),
		.words = jail_mode_words,
		.def = "best-effort",
		.help = "what a layer of the jail that is missing means" },
	OPT_END,
};

#define VM(f) offsetof(struct conf_vm, f)
static const struct opt policy_opts[] = {
	{ .name = "restart",
		.type = OPT_ENUM,
		.offset = VM(restart),
		.words = restart_words,
		.def = "no",
		.help = "when the VM is started again after its end" },
	{ .name = "restart-limit",
		.type = OPT_U32,
		.offset = VM(restart_limit),
		.def = "5",
		.max = 1000,
		.help = "failures in a row until it is given up; 0: never" },
	OPT_END,
};

#define DEVICE(f) offsetof(struct conf_device, f)
static const struct opt device_opts[] = {
	{ .name = "type",
		.type = OPT_STR,
		.offset = DEVICE(type),
		.help = "device type",
		.flags = OPT_REQUIRED },
	{ .name = "name", .type = OPT_STR, .offset = DEVICE(name), .help = "name within the VM" },
	{ .name = "socket",
		.type = OPT_PATH,
		.offset = DEVICE(socket),
		.help = "vhost-user socket of somebody else's device" },
	{ .name = "isolate",
		.type = OPT_BOOL,
		.offset = DEVICE(isolate),
		.def = "true",
		.help = "a process of its own, in a jail" },
	OPT_END,
};

static const struct opt plug_opts[] = {
	{ .name = "switch",
		.type = OPT_STR,
		.offset = DEVICE(switch_name),
		.help = "the switch it is plugged into" },
	OPT_END,
};

/* Keys of vm_opts that the file has in a section. */
struct alias {
	const char *section, *key, *opt;
};

static const struct alias vm_aliases[] = {
	{ "boot", "kernel", "kernel" },
	{ "boot", "initrd", "initrd" },
	{ "boot", "cmdline", "cmdline" },
	{ "cpus", "count", "cpus" },
	{ "cpus", "host", "cpu-host" },
};

/* A key that is possible in a map. Without `opt` its value is read elsewhere. */
struct slot {
	const char *key;
	const struct opt *opt;
	const struct opt *table;
	void *base;
	struct conf_keys *keys; /* where the text is kept for the command line, or NULL */
};

struct slots {
	struct slot v[SLOTS_MAX];
	unsigned n;
};

static void add_slot(struct slots *s, const struct slot *slot)
{
	if (s->n < SLOTS_MAX)
		s->v[s->n++] = *slot;
}

static void add_special(struct slots *s, const char *key)
{
	add_slot(s, &(struct slot){ .key = key });
}

static void add_table(struct slots *s, const struct opt *table, void *base, struct conf_keys *keys)
{
	for (const struct opt *o = table; o->name; o++)
		add_slot(s, &(struct slot){ o->name, o, table, base, keys });
}

/* The keys of `section`, or with NULL those of vm_opts that are in no section. */
static void add_vm_keys(struct slots *s, struct conf_vm *vm, const char *section)
{
	for (const struct opt *o = vm_opts; o->name; o++) {
		const struct alias *in = NULL;

		for (unsigned i = 0; i < ARRAY_LEN(vm_aliases); i++)
			if (!strcmp(vm_aliases[i].opt, o->name))
				in = &vm_aliases[i];
		if (section ? in && !strcmp(in->section, section) : !in)
			add_slot(s, &(struct slot){ in ? in->key : o->name, o, vm_opts,
					    &vm->machine, &vm->keys });
	}
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
	char what[ERR_MSG_MAX];
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

#define ERROR_AT(r, node, ...) conf_error((r), (node)->line, (node)->column, __VA_ARGS__)

static bool is_kind(
	struct conf_reader *r, const struct yaml_node *node, enum yaml_kind kind, const char *what)
{
	if (node->kind == kind)
		return true;
	ERROR_AT(r, node, "%s must be %s, not %s", what, yaml_kind_name(kind),
		yaml_kind_name(node->kind));
	return false;
}

static const struct yaml_node *map_get(const struct yaml_node *map, const char *key)
{
	for (unsigned i = 0; i + 1 < map->n; i += 2)
		if (!strcmp(map->items[i]->text, key))
			return map->items[i + 1];
	return NULL;
}

static void check_duplicates(struct conf_reader *r, const struct yaml_node *map)
{
	for (unsigned i = 0; i < map->n; i += 2)
		for (unsigned k = 0; k < i; k += 2)
			if (!strcmp(map->items[i]->text, map->items[k]->text)) {
				ERROR_AT(r, map->items[i], "'%.64s' is already in line %u",
					map->items[i]->text, map->items[k]->line);
				break;
			}
}

static void unknown_key(struct conf_reader *r, const struct yaml_node *key, const struct slots *s)
{
	const char *names[SLOTS_MAX], *near;
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
		ERROR_AT(r, key, "unknown key '%.64s' (did you mean '%s'?); allowed: %s", key->text,
			near, allowed);
	else
		ERROR_AT(r, key, "unknown key '%.64s'; allowed: %s", key->text, allowed);
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

static int keep(
	struct conf_keys *keys, const struct slot *slot, const struct yaml_node *at, char *value)
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

static void set_text(struct conf_reader *r, const struct slot *slot, const struct yaml_node *at)
{
	char *value = slot->opt->type == OPT_PATH ? resolve(r->conf, at->text) : strdup(at->text);
	struct err e = { 0 };
	int ret = -ENOMEM;

	if (value)
		ret = opt_set(slot->table, slot->base, slot->opt->name, value, &e);
	if (ret)
		ERROR_AT(r, at, "%s", e.code ? e.msg : "out of memory");
	if (ret || !slot->keys) {
		free(value);
		return;
	}
	if (keep(slot->keys, slot, at, value))
		ERROR_AT(r, at, "out of memory");
}

static void set_slot(struct conf_reader *r, const struct slot *slot, const struct yaml_node *value)
{
	if (value->kind == YAML_TEXT) {
		set_text(r, slot, value);
		return;
	}
	if (value->kind != YAML_LIST || slot->opt->type != OPT_LIST) {
		ERROR_AT(r, value, "'%s' must be %s, not %s", slot->key,
			slot->opt->type == OPT_LIST ? "a list of words" : "one word",
			yaml_kind_name(value->kind));
		return;
	}
	for (unsigned i = 0; i < value->n; i++)
		if (is_kind(r, value->items[i], YAML_TEXT, "an entry of this list"))
			set_text(r, slot, value->items[i]);
}

/* Sets what the map says; keys that are read elsewhere are passed over. */
static void read_map(struct conf_reader *r, const struct yaml_node *map, const struct slots *s)
{
	check_duplicates(r, map);
	for (unsigned i = 0; i + 1 < map->n; i += 2) {
		const struct slot *slot = NULL;

		for (unsigned k = 0; k < s->n && !slot; k++)
			if (!strcmp(s->v[k].key, map->items[i]->text))
				slot = &s->v[k];
		if (!slot)
			unknown_key(r, map->items[i], s);
		else if (slot->opt)
			set_slot(r, slot, map->items[i + 1]);
	}
}

static void defaults(
	struct conf_reader *r, const struct yaml_node *at, const struct opt *table, void *base)
{
	struct err e = { 0 };

	if (opt_defaults(table, base, &e))
		ERROR_AT(r, at, "%s", e.msg);
}

static void required(struct conf_reader *r, const struct yaml_node *at, const struct opt *table,
	const void *base)
{
	struct err e = { 0 };

	if (opt_check(table, base, &e))
		ERROR_AT(r, at, "%s", e.msg);
}

static bool good_name(struct conf_reader *r, const struct yaml_node *at, const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (len && len <= CONF_NAME_MAX && !name[len] && name[0] != '-')
		return true;
	ERROR_AT(r, at, "'%.64s' cannot be a name: up to %u letters, digits, _ and -", name,
		CONF_NAME_MAX);
	return false;
}

int conf_parse_time(const char *text, uint32_t *ms)
{
	unsigned long long v, unit = 1000;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (!strcmp(end, "ms"))
		unit = 1;
	else if (!strcmp(end, "m"))
		unit = 60000;
	else if (*end && strcmp(end, "s") != 0)
		return -EINVAL;
	if (errno || v > 3600000 / unit)
		return -EINVAL;
	*ms = (uint32_t)(v * unit);
	return 0;
}

static void unknown_type(struct conf_reader *r, const struct yaml_node *at, const char *type)
{
	const char *names[SLOTS_MAX], *near;
	char all[ALLOWED_MAX] = "";
	size_t used = 0;
	unsigned n;

	for (n = 0; vdev_classes[n] && n < SLOTS_MAX; n++) {
		names[n] = vdev_classes[n]->name;
		if (used < sizeof(all))
			used += (size_t)snprintf(
				all + used, sizeof(all) - used, "%s%s", n ? ", " : "", names[n]);
	}
	near = opt_nearest(type, names, n);
	ERROR_AT(r, at, "unknown device type '%.64s'%s%s%s; there are: %s", type,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", all);
}

/* Checks the class's keys by setting them in a device that is then thrown away. */
static void read_model(
	struct conf_reader *r, const struct yaml_node *map, struct slots *s, struct conf_device *d)
{
	struct vdev *model = NULL;
	struct err e = { 0 };

	if (vdev_new(&model, d->cls, &e)) {
		ERROR_AT(r, map, "%s", e.msg);
		return;
	}
	if (!d->socket)
		add_table(s, d->cls->opts, model, &d->keys);
	read_map(r, map, s);
	if (!d->socket)
		required(r, map, d->cls->opts, model);
	vdev_destroy(model);
}

static void read_device(struct conf_reader *r, const struct yaml_node *map, struct conf_device *d)
{
	const struct yaml_node *type, *socket, *name;
	struct slots s = { .n = 0 };

	d->line = map->line;
	d->column = map->column;
	if (!is_kind(r, map, YAML_MAP, "a device"))
		return;
	defaults(r, map, device_opts, d);
	add_table(&s, device_opts, d, NULL);
	type = map_get(map, "type");
	if (!type || type->kind != YAML_TEXT) {
		ERROR_AT(r, map, "a device needs 'type', as in {type: blk, image: disk.img}");
		return;
	}
	d->cls = vdev_class_find(type->text);
	if (!d->cls) {
		unknown_type(r, type, type->text);
		return;
	}
	socket = map_get(map, "socket");
	if (socket && socket->kind == YAML_TEXT)
		opt_set(device_opts, d, "socket", socket->text, NULL);
	if (!strcmp(d->cls->name, "net") && !d->socket)
		add_table(&s, plug_opts, d, NULL);
	read_model(r, map, &s, d);
	name = map_get(map, "name");
	if (name && d->name)
		good_name(r, name, d->name);
}

/* Devices without a name are numbered by type: blk0, blk1, ... */
static void name_devices(struct conf_reader *r, struct conf_vm *vm)
{
	for (unsigned i = 0; i < vm->ndevices; i++) {
		struct conf_device *d = &vm->devices[i];
		unsigned same = 0;

		for (unsigned k = 0; k < i; k++)
			same += vm->devices[k].cls == d->cls;
		if (d->cls && !d->name && asprintf(&d->name, "%s%u", d->cls->name, same) < 0)
			conf_error(r, d->line, d->column, "out of memory");
	}
}

static void read_devices(struct conf_reader *r, const struct yaml_node *list, struct conf_vm *vm)
{
	if (!is_kind(r, list, YAML_LIST, "'devices'"))
		return;
	if (list->n > CONF_DEVICES_MAX) {
		ERROR_AT(r, list, "%u devices; a VM has at most %u", list->n, CONF_DEVICES_MAX);
		return;
	}
	vm->devices = calloc(list->n ? list->n : 1, sizeof(*vm->devices));
	if (!vm->devices) {
		ERROR_AT(r, list, "out of memory");
		return;
	}
	vm->ndevices = list->n;
	for (unsigned i = 0; i < list->n; i++)
		read_device(r, list->items[i], &vm->devices[i]);
	name_devices(r, vm);
}

static void read_section(struct conf_reader *r, const struct yaml_node *vm_map, const char *section,
	struct conf_vm *vm)
{
	const struct yaml_node *map = map_get(vm_map, section);
	struct slots s = { .n = 0 };

	if (!map)
		return;
	add_vm_keys(&s, vm, section);
	/* `cpus: 2` is short for `cpus: {count: 2}`. */
	if (map->kind == YAML_TEXT && !strcmp(section, "cpus"))
		set_slot(r, &s.v[0], map);
	else if (is_kind(r, map, YAML_MAP, section))
		read_map(r, map, &s);
}

static void read_vm(struct conf_reader *r, const struct yaml_node *map, struct conf_vm *vm)
{
	const struct yaml_node *devices;
	struct slots s = { .n = 0 };

	if (!is_kind(r, map, YAML_MAP, "a VM"))
		return;
	defaults(r, map, vm_opts, &vm->machine);
	defaults(r, map, policy_opts, vm);
	add_special(&s, "boot");
	add_special(&s, "cpus");
	add_special(&s, "devices");
	add_vm_keys(&s, vm, NULL);
	add_table(&s, policy_opts, vm, NULL);
	read_map(r, map, &s);
	read_section(r, map, "boot", vm);
	read_section(r, map, "cpus", vm);
	required(r, map, vm_opts, &vm->machine);
	devices = map_get(map, "devices");
	if (devices)
		read_devices(r, devices, vm);
}

static void read_switch(struct conf_reader *r, const struct yaml_node *map, struct conf_switch *sw)
{
	struct switch_config scratch = { 0 };
	struct slots s = { .n = 0 };

	/* `car:` alone is a switch with nothing but defaults. */
	if (map->kind == YAML_TEXT && !*map->text)
		return;
	if (!is_kind(r, map, YAML_MAP, "a switch"))
		return;
	defaults(r, map, switch_opts, &scratch);
	add_table(&s, switch_opts, &scratch, &sw->keys);
	read_map(r, map, &s);
	required(r, map, switch_opts, &scratch);
	opt_free(switch_opts, &scratch);
}

/* The named entries of `vms:` or `switches:`: checks their names, returns their number or 0. */
static unsigned count_entries(
	struct conf_reader *r, const struct yaml_node *map, const char *what, unsigned max)
{
	if (!map)
		return 0;
	if (!is_kind(r, map, YAML_MAP, what))
		return 0;
	check_duplicates(r, map);
	if (map->n / 2 > max) {
		ERROR_AT(
			r, map, "%u entries in %s; at most %u are possible", map->n / 2, what, max);
		return 0;
	}
	for (unsigned i = 0; i < map->n; i += 2)
		good_name(r, map->items[i], map->items[i]->text);
	return map->n / 2;
}

static void read_vms(struct conf_reader *r, const struct yaml_node *map)
{
	struct conf *c = r->conf;
	unsigned n = count_entries(r, map, "'vms'", CONF_VMS_MAX);

	c->vms = calloc(n + 1, sizeof(*c->vms));
	if (!c->vms)
		conf_error(r, 1, 1, "out of memory");
	for (unsigned i = 0; c->vms && i < n; i++) {
		struct conf_vm *vm = &c->vms[c->nvms++];

		vm->name = strdup(map->items[2 * i]->text);
		vm->line = map->items[2 * i]->line;
		vm->column = map->items[2 * i]->column;
		read_vm(r, map->items[2 * i + 1], vm);
	}
}

static void read_switches(struct conf_reader *r, const struct yaml_node *map)
{
	struct conf *c = r->conf;
	unsigned n = count_entries(r, map, "'switches'", CONF_SWITCHES_MAX);

	c->switches = calloc(n + 1, sizeof(*c->switches));
	if (!c->switches)
		conf_error(r, 1, 1, "out of memory");
	for (unsigned i = 0; c->switches && i < n; i++) {
		struct conf_switch *sw = &c->switches[c->nswitches++];

		sw->name = strdup(map->items[2 * i]->text);
		sw->line = map->items[2 * i]->line;
		sw->column = map->items[2 * i]->column;
		read_switch(r, map->items[2 * i + 1], sw);
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
	const struct yaml_node *vms, *grace = NULL;
	struct slots s = { .n = 0 };

	if (!is_kind(r, root, YAML_MAP, "a system file"))
		return;
	defaults(r, root, system_opts, r->conf);
	add_table(&s, system_opts, r->conf, NULL);
	add_special(&s, "grace");
	add_special(&s, "vms");
	add_special(&s, "switches");
	read_map(r, root, &s);
	grace = map_get(root, "grace");
	if (grace && (grace->kind != YAML_TEXT || conf_parse_time(grace->text, &r->conf->grace_ms)))
		ERROR_AT(r, grace, "'grace' takes a time up to an hour, as in 10s, 500ms or 2m");
	if (!r->conf->name)
		r->conf->name = name_of_file(r->conf->path);
	if (r->conf->name)
		good_name(r, map_get(root, "name") ? map_get(root, "name") : root, r->conf->name);
	read_switches(r, map_get(root, "switches"));
	vms = map_get(root, "vms");
	read_vms(r, vms);
	if (!vms)
		ERROR_AT(r, root, "the file needs 'vms', a map of virtual machines");
	else if (vms->kind == YAML_MAP && !vms->n)
		ERROR_AT(r, vms, "'vms' is empty; there is nothing to run");
}

static struct conf *conf_new(const char *path)
{
	struct conf *c = calloc(1, sizeof(*c));
	char *folder, *slash;

	if (!c)
		return NULL;
	c->grace_ms = 10000;
	c->path = strdup(path);
	folder = strdup(path);
	slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	c->dir = realpath(slash ? folder : ".", NULL);
	free(folder);
	if (c->path && c->dir)
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
