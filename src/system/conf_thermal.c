/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys of the thermal policy. */
#include "system/conf_thermal.h"

#include "base/util.h"
#include "system/config_priv.h"

static const char *const action_words[] = { "throttle", "stop", NULL };
static const char *const lost_words[] = { "hold", "throttle", "stop", NULL };

#define THERMAL(f) offsetof(struct conf_thermal, f)
const struct opt conf_thermal_opts[] = {
	{ .name = "source",
		.type = OPT_PATH,
		.offset = THERMAL(source),
		.help = "file with the temperature in millidegrees Celsius, as in sysfs" },
	{ .name = "poll",
		.type = OPT_TIME,
		.offset = THERMAL(poll_ms),
		.def = "1s",
		.min = 10,
		.max = 60000,
		.help = "how often it is read" },
	{ .name = "hysteresis",
		.type = OPT_U32,
		.offset = THERMAL(hysteresis),
		.def = "5",
		.max = 50,
		.help = "degrees below a threshold at which it is over" },
	{ .name = "lost",
		.type = OPT_ENUM,
		.offset = THERMAL(lost),
		.words = lost_words,
		.def = "hold",
		.help = "when the source cannot be read: leave all as it is, or act as if every "
			"throttle, or every threshold, were exceeded" },
	OPT_END,
};

#define THRESHOLD(f) offsetof(struct conf_threshold, f)
static const struct opt threshold_opts[] = {
	{ .name = "at",
		.type = OPT_U32,
		.offset = THRESHOLD(at),
		.min = 1,
		.max = 200,
		.help = "degrees Celsius",
		.flags = OPT_REQUIRED },
	{ .name = "action",
		.type = OPT_ENUM,
		.offset = THRESHOLD(action),
		.words = action_words,
		.def = "throttle",
		.help = "what follows" },
	{ .name = "vm",
		.type = OPT_STR,
		.offset = THRESHOLD(vm),
		.help = "for whom; all if absent" },
	{ .name = "cpu",
		.type = OPT_U32,
		.offset = THRESHOLD(cpu),
		.def = "50",
		.min = 1,
		.max = 99,
		.help = "throttle: percent of the processor time that is left" },
	{ .name = "start-again",
		.type = OPT_BOOL,
		.offset = THRESHOLD(start_again),
		.help = "stop: start the VM again when it is cool" },
	OPT_END,
};

static void read_threshold(
	struct conf_reader *r, const struct yaml_node *map, struct conf_threshold *t)
{
	struct conf_slots s = { .n = 0 };

	t->line = map->line;
	t->column = map->column;
	conf_defaults(r, map, threshold_opts, t);
	if (!conf_is_kind(r, map, YAML_MAP, "a threshold"))
		return;
	conf_slot_table(&s, threshold_opts, t, NULL);
	conf_map_read(r, map, &s);
	conf_required(r, map, threshold_opts, t);
	if (t->action == CONF_THERMAL_STOP && conf_map_get(map, "cpu"))
		CONF_ERROR_AT(r, map, "'cpu' is for 'action: throttle'");
	if (t->action == CONF_THERMAL_THROTTLE && t->start_again)
		CONF_ERROR_AT(r, map, "'start-again' is for 'action: stop'");
}

static void read_thresholds(
	struct conf_reader *r, const struct yaml_node *list, struct conf_thermal *t)
{
	if (!conf_is_kind(r, list, YAML_LIST, "'thresholds'"))
		return;
	if (list->n > CONF_THRESHOLDS_MAX) {
		CONF_ERROR_AT(r, list, "%u thresholds; at most %u are possible", list->n,
			CONF_THRESHOLDS_MAX);
		return;
	}
	t->thresholds = calloc(list->n + 1, sizeof(*t->thresholds));
	if (!t->thresholds) {
		CONF_ERROR_AT(r, list, "out of memory");
		return;
	}
	for (unsigned i = 0; i < list->n; i++) {
		read_threshold(r, list->items[i], &t->thresholds[t->n++]);
		if (i && t->thresholds[i].at < t->thresholds[i - 1].at)
			CONF_ERROR_AT(r, list->items[i],
				"'at' must not be lower than in the threshold before: they are "
				"acted on in this order");
	}
}

void conf_thermal_read(struct conf_reader *r, const struct yaml_node *node, void *section)
{
	const struct yaml_node *list;
	struct conf_thermal *t = section;
	struct conf_slots s = { .n = 0 };

	if (!conf_is_kind(r, node, YAML_MAP, "'thermal'"))
		return;
	conf_slot_table(&s, conf_thermal_opts, t, &r->conf->given);
	conf_slot_special(&s, "thresholds");
	conf_map_read(r, node, &s);
	list = conf_map_get(node, "thresholds");
	if (list)
		read_thresholds(r, list, t);
	if (!t->source || !list)
		CONF_ERROR_AT(
			r, node, "'thermal' needs 'source', a file, and 'thresholds', a list");
}

void conf_thermal_free(void *section)
{
	struct conf_thermal *t = section;

	for (unsigned i = 0; i < t->n; i++)
		opt_free(threshold_opts, &t->thresholds[i]);
	free(t->thresholds);
}

void conf_thermal_check(struct conf_reader *r)
{
	struct conf_thermal *t = &r->conf->thermal;

	for (unsigned i = 0; i < t->n; i++)
		if (t->thresholds[i].vm)
			t->thresholds[i].number = conf_find_vm(r, t->thresholds[i].line,
				t->thresholds[i].column, t->thresholds[i].vm);
}

bool conf_thermal_throttles(const struct conf_thermal *thermal)
{
	for (unsigned i = 0; i < thermal->n; i++)
		if (thermal->thresholds[i].action == CONF_THERMAL_THROTTLE)
			return true;
	return false;
}
