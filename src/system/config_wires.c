/* SPDX-License-Identifier: BSD-3-Clause */
/* GPIO lines and the nets that they are wired to, as far as the system file tells. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/gpio.h"
#include "host/wires.h"
#include "system/config_priv.h"

/* The next key of this name, from index `*i` on; NULL: there is none. */
static const struct conf_key *next_key(const struct conf_keys *keys, const char *name, unsigned *i)
{
	while (*i < keys->n) {
		const struct conf_key *key = &keys->v[(*i)++];

		if (!strcmp(key->opt->name, name))
			return key;
	}
	return NULL;
}

static bool has_net(const struct conf_medium *wires, const char *net)
{
	const struct conf_key *key;
	char name[WIRES_NAME_MAX + 1];

	for (unsigned i = 0; (key = next_key(&wires->keys, "nets", &i));)
		if (!wires_check_net(key->value, name, NULL) && !strcmp(name, net))
			return true;
	return false;
}

static void check_lines(struct conf_reader *r, const struct conf_device *d)
{
	const struct conf_medium *wires = conf_medium_of(r->conf, d);
	const struct conf_key *key;
	char net[WIRES_NAME_MAX + 1];

	for (unsigned i = 0; (key = next_key(&d->keys, "lines", &i));) {
		struct err e = { 0 };

		if (gpio_check_item(key->value, net, &e))
			conf_error(r, key->line, key->column, "%s", e.msg);
		else if (wires && *net && !has_net(wires, net))
			conf_error(r, key->line, key->column, "%s has no net '%s' (its key `nets`)",
				wires->name, net);
	}
}

static void check_nets(struct conf_reader *r, const struct conf_medium *wires)
{
	const struct conf_key *key;
	char name[WIRES_NAME_MAX + 1];

	for (unsigned i = 0; (key = next_key(&wires->keys, "nets", &i));) {
		struct err e = { 0 };

		if (wires_check_net(key->value, name, &e))
			conf_error(r, key->line, key->column, "%s", e.msg);
	}
}

void conf_wires_check(struct conf_reader *r)
{
	const struct conf *c = r->conf;

	for (unsigned v = 0; v < c->nvms; v++)
		for (unsigned i = 0; i < c->vms[v].ndevices; i++)
			if (!strcmp(c->vms[v].devices[i].cls->name, "gpio"))
				check_lines(r, &c->vms[v].devices[i]);
	for (unsigned i = 0; i < c->nmedia; i++)
		if (!strcmp(c->media[i].cls->command, "wires"))
			check_nets(r, &c->media[i]);
}
