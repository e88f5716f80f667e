/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking things up in a configuration, and getting rid of it. */
#include <string.h>

#include "base/util.h"
#include "system/config_priv.h"

const struct conf_key *conf_key_find(const struct conf_keys *keys, const char *name)
{
	for (unsigned i = 0; i < keys->n; i++)
		if (!strcmp(keys->v[i].opt->name, name))
			return &keys->v[i];
	return NULL;
}

const char *conf_value(const struct conf_keys *keys, const struct opt *table, const char *name)
{
	const struct conf_key *key = conf_key_find(keys, name);
	const struct opt *o;

	if (key)
		return key->value;
	o = opt_find(table, name);
	return o ? o->def : NULL;
}

const struct conf_medium *conf_medium_of(const struct conf *conf, const struct conf_device *d)
{
	for (unsigned i = 0; d->plug && i < conf->nmedia; i++)
		if (!strcmp(conf->media[i].cls->device, d->cls->name) &&
			!strcmp(conf->media[i].name, d->plug))
			return &conf->media[i];
	return NULL;
}

static void free_keys(struct conf_keys *keys)
{
	for (unsigned i = 0; i < keys->n; i++)
		free(keys->v[i].value);
	free(keys->v);
}

static void free_vm(struct conf_vm *vm)
{
	for (unsigned i = 0; i < vm->ndevices; i++) {
		struct conf_device *d = &vm->devices[i];

		free(d->type);
		free(d->name);
		free(d->socket);
		free(d->plug);
		free_keys(&d->keys);
	}
	free(vm->devices);
	free(vm->name);
	opt_free(vm_opts, &vm->machine);
	conf_sections_free(conf_vm_sections, vm);
	free_keys(&vm->keys);
	free_keys(&vm->given);
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nvms; i++)
		free_vm(&c->vms[i]);
	for (unsigned i = 0; i < c->nmedia; i++) {
		free(c->media[i].name);
		free_keys(&c->media[i].keys);
	}
	free(c->vms);
	free(c->media);
	conf_sections_free(conf_system_sections, c);
	free_keys(&c->given);
	free(c->path);
	free(c->dir);
	free(c);
}

void conf_errors_print(const struct conf_errors *errors, FILE *f)
{
	for (unsigned i = 0; i < errors->n; i++)
		fprintf(f, "%s\n", errors->v[i].text);
	if (errors->more)
		fprintf(f, "(and %u more)\n", errors->more);
}

void conf_errors_free(struct conf_errors *errors)
{
	for (unsigned i = 0; i < errors->n; i++)
		free(errors->v[i].text);
	*errors = (struct conf_errors){ 0 };
}
