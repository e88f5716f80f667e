/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices of a VM: which keys each has is said by its class, and by the tables here. */
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"

#define ALLOWED_MAX 400u

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
	VDEV_POLL_OPT(DEVICE(poll)),
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

/* `switch: car`, of devices that have media. */
static void read_plug(struct conf_reader *r, const struct yaml_node *map, struct conf_slots *s,
	struct conf_device *d)
{
	const struct medium_class *cls = medium_class_for(d->cls->name);
	const struct yaml_node *node;

	if (!cls || d->socket)
		return;
	conf_slot_special(s, cls->plug);
	node = conf_map_get(map, cls->plug);
	if (!node || !conf_key_is_kind(r, node, YAML_TEXT, cls->plug))
		return;
	d->plug = strdup(node->text);
	if (!d->plug)
		CONF_ERROR_AT(r, node, "out of memory");
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
	read_plug(r, map, &s, d);
	read_model(r, map, &s, d);
	name = conf_map_get(map, "name");
	if (name && d->name)
		conf_good_name(r, name, d->name);
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

void conf_read_devices(struct conf_reader *r, const struct yaml_node *list, struct conf_vm *vm)
{
	if (!conf_is_kind(r, list, YAML_LIST, "'devices'"))
		return;
	if (list->n > VM_DEVICES_MAX) {
		CONF_ERROR_AT(r, list, "%u devices; a VM has at most %u", list->n, VM_DEVICES_MAX);
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
