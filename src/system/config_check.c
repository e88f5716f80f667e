/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold across a system file: names, media, addresses and images that fit together. */
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/util.h"
#include "devices/scmi_sensor.h"
#include "system/config_priv.h"

/* A key of a device, with whose it is. */
struct owned_key {
	const struct conf_vm *vm;
	const struct conf_device *device;
	const struct conf_key *key;
};

/* True if both keys claim the same thing. */
typedef bool (*same_fn)(const struct owned_key *a, const struct owned_key *b);

/* The key `name` of device number `i`, counted over all VMs; false past the last one. */
static bool nth_key(const struct conf *c, unsigned i, const char *name, struct owned_key *out)
{
	for (unsigned v = 0; v < c->nvms; v++) {
		const struct conf_vm *vm = &c->vms[v];

		if (i < vm->ndevices) {
			out->vm = vm;
			out->device = &vm->devices[i];
			out->key = conf_key_find(&out->device->keys, name);
			return true;
		}
		i -= vm->ndevices;
	}
	return false;
}

/* No two devices of the system may have the same value of key `name`. */
static void check_unique(struct conf_reader *r, const char *name, same_fn same, const char *why)
{
	struct owned_key a, b;

	for (unsigned i = 0; nth_key(r->conf, i, name, &a); i++) {
		for (unsigned k = 0; a.key && k < i && nth_key(r->conf, k, name, &b); k++) {
			if (!b.key || !same(&a, &b))
				continue;
			conf_error(r, a.key->line, a.key->column,
				"%s '%.128s' is taken by %s/%s (line %u): %s", name, a.key->value,
				b.vm->name, b.device->name, b.key->line, why);
			break;
		}
	}
}

static bool same_number(const struct owned_key *a, const struct owned_key *b)
{
	return strtoull(a->key->value, NULL, 0) == strtoull(b->key->value, NULL, 0);
}

static bool same_mac(const struct owned_key *a, const struct owned_key *b)
{
	return !strcasecmp(a->key->value, b->key->value);
}

static bool is_readonly(const struct owned_key *k)
{
	const char *v = conf_value(&k->device->keys, k->device->cls->opts, "readonly");

	return v &&
	       (!strcmp(v, "true") || !strcmp(v, "yes") || !strcmp(v, "on") || !strcmp(v, "1"));
}

/* The same file, whatever it is called; one that does not exist is compared by name. */
static bool same_writable_file(const struct owned_key *a, const struct owned_key *b)
{
	struct stat sa, sb;

	if (is_readonly(a) && is_readonly(b))
		return false;
	if (stat(a->key->value, &sa) || stat(b->key->value, &sb))
		return !strcmp(a->key->value, b->key->value);
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static void check_names(struct conf_reader *r, const struct conf_vm *vm)
{
	for (unsigned i = 0; i < vm->ndevices; i++) {
		const struct conf_device *d = &vm->devices[i];

		for (unsigned k = 0; k < i; k++)
			if (!strcmp(d->name, vm->devices[k].name))
				conf_error(r, d->line, d->column,
					"the name '%s' is taken by the device in line %u", d->name,
					vm->devices[k].line);
	}
}

static void check_plug(struct conf_reader *r, const struct conf_device *d)
{
	const struct medium_class *cls = medium_class_for(d->cls->name);
	const char *names[CONF_MEDIA_MAX], *near;
	const struct conf *c = r->conf;
	unsigned n = 0;

	if (!d->plug || conf_medium_of(c, d))
		return;
	for (unsigned i = 0; i < c->nmedia; i++)
		if (c->media[i].cls == cls)
			names[n++] = c->media[i].name;
	near = opt_nearest(d->plug, names, n);
	conf_error(r, d->line, d->column, "there is no %s '%.64s'%s%s%s in this file", cls->command,
		d->plug, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Each is a process with its name, for `avp ps` and the event log. */
static void check_medium_name(struct conf_reader *r, const struct conf_medium *m)
{
	for (const struct conf_medium *o = r->conf->media; o < m; o++)
		if (!strcmp(o->name, m->name))
			conf_error(r, m->line, m->column, "the name '%s' is taken in line %u",
				m->name, o->line);
	for (unsigned v = 0; v < r->conf->nvms; v++)
		if (!strcmp(r->conf->vms[v].name, m->name))
			conf_error(r, m->line, m->column,
				"the name '%s' is that of the VM in line %u", m->name,
				r->conf->vms[v].line);
}

/* Whoever serves the device polls. */
static void check_poll(struct conf_reader *r, const struct conf_device *d)
{
	if (!d->poll)
		return;
	if (d->socket)
		conf_error(r, d->line, d->column,
			"'poll' and 'socket' exclude each other: the device is elsewhere");
	if (d->plug)
		conf_error(r, d->line, d->column, "'poll' belongs to the %s '%.64s'",
			medium_class_for(d->cls->name)->command, d->plug);
}

static void check_isolation(struct conf_reader *r, const struct conf_device *d)
{
	if (d->isolate)
		return;
	if (d->socket)
		conf_error(r, d->line, d->column,
			"'isolate: false' and 'socket' exclude each other: the device is "
			"elsewhere");
	if (d->plug)
		conf_error(r, d->line, d->column,
			"'isolate: false' and '%s' exclude each other: the %s is a process",
			medium_class_for(d->cls->name)->plug,
			medium_class_for(d->cls->name)->command);
}

/* Descriptions of sensors, which are lists of words in one. */
static void check_sensors(struct conf_reader *r, const struct conf_keys *keys)
{
	for (unsigned i = 0; i < keys->n; i++) {
		struct scmi_sensor_desc desc = { .used = 0 };
		const struct conf_key *key = &keys->v[i];
		struct err e = { 0 };

		if (!strcmp(key->opt->name, "sensors") && scmi_sensor_parse(&desc, key->value, &e))
			conf_error(r, key->line, key->column, "%s", e.msg);
	}
}

static void check_machine(struct conf_reader *r, const struct conf_vm *vm)
{
	const struct conf_key *key;
	const char *name = NULL;
	struct err e = { 0 };
	unsigned most = vm->machine.transport == VM_TRANSPORT_PCI ? VM_PCI_DEVICES_MAX
								  : VM_MMIO_DEVICES_MAX;

	if (vm_conf_check(&vm->machine, &name, &e)) {
		key = conf_key_find(&vm->keys, name);
		conf_error(
			r, key ? key->line : vm->line, key ? key->column : vm->column, "%s", e.msg);
	}
	if (vm->ndevices > most)
		conf_error(r, vm->line, vm->column, "%u devices; with transport: %s at most %u",
			vm->ndevices, vm_transport_words[vm->machine.transport], most);
}

void conf_check(struct conf_reader *r)
{
	const struct conf *c = r->conf;

	for (unsigned v = 0; v < c->nvms; v++) {
		check_machine(r, &c->vms[v]);
		check_names(r, &c->vms[v]);
		for (unsigned i = 0; i < c->vms[v].ndevices; i++) {
			check_plug(r, &c->vms[v].devices[i]);
			check_isolation(r, &c->vms[v].devices[i]);
			check_poll(r, &c->vms[v].devices[i]);
			check_sensors(r, &c->vms[v].devices[i].keys);
		}
	}
	for (unsigned i = 0; i < c->nmedia; i++) {
		check_medium_name(r, &c->media[i]);
		check_sensors(r, &c->media[i].keys);
	}
	conf_wires_check(r);
	conf_policy_check(r);
	conf_thermal_check(r);
	check_unique(r, "cid", same_number, "each VM needs its own");
	check_unique(r, "mac", same_mac, "each interface needs its own");
	check_unique(r, "image", same_writable_file,
		"two writers would destroy it (readonly: true shares)");
}
