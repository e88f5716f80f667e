/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system file: from the YAML tree to structures. Which keys there are is said by the option
 * tables of those who use them (vm_opts, switch_opts, the device classes); here is only the shape.
 */
#include "system/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/util.h"
#include "host/switch.h"
#include "system/config_priv.h"

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

/*
 * A device of somebody else that no source of ours knows. It is no class of the registry: nobody
 * can serve it here, so only its shape is said, and the monitor puts that into the guest's machine.
 */
struct foreign {
	struct vdev dev;
	uint32_t id, queues, config;
};

#define FOREIGN(f) offsetof(struct foreign, f)
static const struct opt foreign_opts[] = {
	{ .name = "id",
		.type = OPT_U32,
		.offset = FOREIGN(id),
		.min = 1,
		.max = VM_DEVICE_ID_MAX,
		.help = "VIRTIO device id",
		.flags = OPT_REQUIRED },
	{ .name = "queues",
		.type = OPT_U32,
		.offset = FOREIGN(queues),
		.min = 1,
		.max = VDEV_QUEUES_MAX,
		.help = "number of queues; as many as the daemon says if it is not given" },
	{ .name = "config",
		.type = OPT_U32,
		.offset = FOREIGN(config),
		.min = 1,
		.max = 256,
		.help = "bytes of the configuration space; those of VIRTIO 1.4 if it is not "
			"given" },
	OPT_END,
};

static const struct vdev_class foreign_class = {
	.name = "foreign",
	.size = sizeof(struct foreign),
	.opts = foreign_opts,
};

bool conf_is_foreign(const struct conf_device *d)
{
	return d->cls == &foreign_class;
}

/* Keys of vm_opts that the file has in a section. */
struct alias {
	const char *section, *key, *opt;
};

static const struct alias vm_aliases[] = {
	{ "boot", "kernel", "kernel" },
	{ "boot", "initrd", "initrd" },
	{ "boot", "cmdline", "cmdline" },
	{ "boot", "load-address", "load-address" },
	{ "boot", "entry", "entry" },
	{ "cpus", "count", "cpus" },
	{ "cpus", "host", "cpu-host" },
};

/* The keys of `section`, or with NULL those of vm_opts that are in no section. */
static void add_vm_keys(struct conf_slots *s, struct conf_vm *vm, const char *section)
{
	for (const struct opt *o = vm_opts; o->name; o++) {
		const struct alias *in = NULL;

		for (unsigned i = 0; i < ARRAY_LEN(vm_aliases); i++)
			if (!strcmp(vm_aliases[i].opt, o->name))
				in = &vm_aliases[i];
		if (section ? in && !strcmp(in->section, section) : !in)
			conf_slot_add(s, &(struct conf_slot){ in ? in->key : o->name, o, vm_opts,
						 &vm->machine, &vm->keys });
	}
}

static bool good_name(struct conf_reader *r, const struct yaml_node *at, const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (len && len <= CONF_NAME_MAX && !name[len] && name[0] != '-')
		return true;
	CONF_ERROR_AT(r, at, "'%.64s' cannot be a name: up to %u letters, digits, _ and -", name,
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
	const char *names[CONF_SLOTS_MAX], *near;
	char all[ALLOWED_MAX] = "";
	size_t used = 0;
	unsigned n;

	for (n = 0; vdev_classes[n] && n < CONF_SLOTS_MAX; n++) {
		names[n] = vdev_classes[n]->name;
		if (used < sizeof(all))
			used += (size_t)snprintf(
				all + used, sizeof(all) - used, "%s%s", n ? ", " : "", names[n]);
	}
	near = opt_nearest(type, names, n);
	CONF_ERROR_AT(r, at,
		"unknown device type '%.64s'%s%s%s; there are: %s, and foreign for somebody else's",
		type, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", all);
}

/* Checks the class's keys by setting them in a device that is then thrown away. */
static void read_model(struct conf_reader *r, const struct yaml_node *map, struct conf_slots *s,
	struct conf_device *d)
{
	bool has_keys = !d->socket || conf_is_foreign(d);
	struct vdev *model = NULL;
	struct err e = { 0 };

	if (vdev_new(&model, d->cls, &e)) {
		CONF_ERROR_AT(r, map, "%s", e.msg);
		return;
	}
	if (has_keys)
		conf_slot_table(s, d->cls->opts, model, &d->keys);
	conf_map_read(r, map, s);
	if (has_keys)
		conf_required(r, map, d->cls->opts, model);
	vdev_destroy(model);
}

static void read_device(struct conf_reader *r, const struct yaml_node *map, struct conf_device *d)
{
	const struct yaml_node *type, *socket, *name;
	struct conf_slots s = { .n = 0 };

	d->line = map->line;
	d->column = map->column;
	if (!conf_is_kind(r, map, YAML_MAP, "a device"))
		return;
	conf_defaults(r, map, device_opts, d);
	conf_slot_table(&s, device_opts, d, NULL);
	type = conf_map_get(map, "type");
	if (!type || type->kind != YAML_TEXT) {
		CONF_ERROR_AT(r, map, "a device needs 'type', as in {type: blk, image: disk.img}");
		return;
	}
	d->cls = strcmp(type->text, foreign_class.name) ? vdev_class_find(type->text)
							: &foreign_class;
	if (!d->cls) {
		unknown_type(r, type, type->text);
		return;
	}
	socket = conf_map_get(map, "socket");
	if (socket && socket->kind == YAML_TEXT)
		opt_set(device_opts, d, "socket", socket->text, NULL);
	if (conf_is_foreign(d) && !socket)
		CONF_ERROR_AT(
			r, map, "a foreign device needs 'socket': that of the daemon behind it");
	if (!strcmp(d->cls->name, "net") && !d->socket)
		conf_slot_table(&s, plug_opts, d, NULL);
	read_model(r, map, &s, d);
	name = conf_map_get(map, "name");
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
	if (!conf_is_kind(r, list, YAML_LIST, "'devices'"))
		return;
	if (list->n > CONF_DEVICES_MAX) {
		CONF_ERROR_AT(
			r, list, "%u devices; a VM has at most %u", list->n, CONF_DEVICES_MAX);
		return;
	}
	vm->devices = calloc(list->n ? list->n : 1, sizeof(*vm->devices));
	if (!vm->devices) {
		CONF_ERROR_AT(r, list, "out of memory");
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
	const struct yaml_node *map = conf_map_get(vm_map, section);
	struct conf_slots s = { .n = 0 };

	if (!map)
		return;
	add_vm_keys(&s, vm, section);
	/* `cpus: 2` is short for `cpus: {count: 2}`. */
	if (map->kind == YAML_TEXT && !strcmp(section, "cpus"))
		conf_slot_set(r, &s.v[0], map);
	else if (conf_is_kind(r, map, YAML_MAP, section))
		conf_map_read(r, map, &s);
}

static void read_vm(struct conf_reader *r, const struct yaml_node *map, struct conf_vm *vm)
{
	const struct yaml_node *devices;
	struct conf_slots s = { .n = 0 };

	if (!conf_is_kind(r, map, YAML_MAP, "a VM"))
		return;
	conf_defaults(r, map, vm_opts, &vm->machine);
	conf_defaults(r, map, policy_opts, vm);
	conf_slot_special(&s, "boot");
	conf_slot_special(&s, "cpus");
	conf_slot_special(&s, "devices");
	add_vm_keys(&s, vm, NULL);
	conf_slot_table(&s, policy_opts, vm, NULL);
	conf_map_read(r, map, &s);
	read_section(r, map, "boot", vm);
	read_section(r, map, "cpus", vm);
	conf_required(r, map, vm_opts, &vm->machine);
	devices = conf_map_get(map, "devices");
	if (devices)
		read_devices(r, devices, vm);
}

static void read_switch(struct conf_reader *r, const struct yaml_node *map, struct conf_switch *sw)
{
	struct switch_config scratch = { 0 };
	struct conf_slots s = { .n = 0 };

	/* `car:` alone is a switch with nothing but defaults. */
	if (map->kind == YAML_TEXT && !*map->text)
		return;
	if (!conf_is_kind(r, map, YAML_MAP, "a switch"))
		return;
	conf_defaults(r, map, switch_opts, &scratch);
	conf_slot_table(&s, switch_opts, &scratch, &sw->keys);
	conf_map_read(r, map, &s);
	conf_required(r, map, switch_opts, &scratch);
	opt_free(switch_opts, &scratch);
}

/* The named entries of `vms:` or `switches:`: checks their names, returns their number or 0. */
static unsigned count_entries(
	struct conf_reader *r, const struct yaml_node *map, const char *what, unsigned max)
{
	if (!map)
		return 0;
	if (!conf_is_kind(r, map, YAML_MAP, what))
		return 0;
	conf_check_duplicates(r, map);
	if (map->n / 2 > max) {
		CONF_ERROR_AT(
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
	struct conf_slots s = { .n = 0 };

	if (!conf_is_kind(r, root, YAML_MAP, "a system file"))
		return;
	conf_defaults(r, root, system_opts, r->conf);
	conf_slot_table(&s, system_opts, r->conf, NULL);
	conf_slot_special(&s, "grace");
	conf_slot_special(&s, "vms");
	conf_slot_special(&s, "switches");
	conf_map_read(r, root, &s);
	grace = conf_map_get(root, "grace");
	if (grace && (grace->kind != YAML_TEXT || conf_parse_time(grace->text, &r->conf->grace_ms)))
		CONF_ERROR_AT(
			r, grace, "'grace' takes a time up to an hour, as in 10s, 500ms or 2m");
	if (!r->conf->name)
		r->conf->name = name_of_file(r->conf->path);
	if (r->conf->name)
		good_name(r, conf_map_get(root, "name") ? conf_map_get(root, "name") : root,
			r->conf->name);
	read_switches(r, conf_map_get(root, "switches"));
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
