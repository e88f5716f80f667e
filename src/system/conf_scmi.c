/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/conf_scmi.h"

#include "devices/devices.h"

/* The description of a platform and the grants, out of keys that have more. */
struct view {
	struct scmi_config config;
	struct opt_list grants;
};

static const struct opt view_opts[] = {
	SCMI_CONFIG_OPTS(struct view, config),
	{ .name = "grants", .type = OPT_LIST, .offset = offsetof(struct view, grants), .help = "" },
	OPT_END,
};

static int collect(struct view *v, const struct conf_keys *keys, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < keys->n; i++)
		if (opt_find(view_opts, keys->v[i].opt->name))
			ret = opt_set(view_opts, v, keys->v[i].opt->name, keys->v[i].value, e);
	return ret;
}

int conf_scmi_summarize(
	const struct conf *conf, const struct conf_device *d, struct scmi_summary *s, struct err *e)
{
	const struct conf_medium *platform = conf_medium_of(conf, d);
	struct view v = { .grants.n = 0 };
	int ret = opt_defaults(view_opts, &v, e);

	if (!ret && platform)
		ret = collect(&v, &platform->keys, e);
	if (!ret)
		ret = collect(&v, &d->keys, e);
	if (!ret)
		ret = scmi_summarize(s, &v.config, platform || v.grants.n ? &v.grants : NULL, e);
	opt_free(view_opts, &v);
	return ret;
}

const struct conf_device *conf_scmi_device(const struct conf_vm *vm)
{
	for (unsigned i = 0; i < vm->ndevices; i++)
		if (vm->devices[i].cls == &vdev_scmi)
			return &vm->devices[i];
	return NULL;
}
