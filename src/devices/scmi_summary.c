/* SPDX-License-Identifier: BSD-3-Clause */
/* What an agent will find on a platform that does not run yet. */
#include <errno.h>

#include "base/util.h"
#include "devices/scmi_priv.h"
#include "devices/scmi_rules.h"

const char *const scmi_summary_names[SCMI_SUMMARY_PROTOCOLS] = {
	[SCMI_SLOT(SCMI_PROTOCOL_BASE)] = "base",
	[SCMI_SLOT(SCMI_PROTOCOL_POWER)] = "power",
	[SCMI_SLOT(SCMI_PROTOCOL_SYSTEM)] = "system",
	[SCMI_SLOT(SCMI_PROTOCOL_PERF)] = "perf",
	[SCMI_SLOT(SCMI_PROTOCOL_CLOCK)] = "clock",
	[SCMI_SLOT(SCMI_PROTOCOL_SENSOR)] = "sensor",
	[SCMI_SLOT(SCMI_PROTOCOL_RESET)] = "reset",
	[SCMI_SLOT(SCMI_PROTOCOL_VOLTAGE)] = "voltage",
	[SCMI_SLOT(SCMI_PROTOCOL_POWERCAP)] = "powercap",
};

static int count(const struct opt_list *list, unsigned slot, struct scmi_rules *rules,
	struct scmi_summary *s, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < list->n; i++) {
		enum scmi_access access;
		struct scmi_words w;

		ret = scmi_words_parse(&w, list->v[i], e);
		if (!ret && scmi_rules_judge(rules, scmi_summary_names[slot], w.name, &access)) {
			s->protocols |= 1u << slot;
			s->voltages += slot == SCMI_SLOT(SCMI_PROTOCOL_VOLTAGE);
		}
		scmi_words_free(&w);
	}
	return ret;
}

static int count_all(const struct scmi_config *c, struct scmi_rules *rules, struct scmi_summary *s,
	struct err *e)
{
	const struct {
		const struct opt_list *list;
		unsigned slot;
	} lists[] = {
		{ &c->power_domains, SCMI_SLOT(SCMI_PROTOCOL_POWER) },
		{ &c->perf, SCMI_SLOT(SCMI_PROTOCOL_PERF) },
		{ &c->clocks, SCMI_SLOT(SCMI_PROTOCOL_CLOCK) },
		{ &c->sensor.sensors, SCMI_SLOT(SCMI_PROTOCOL_SENSOR) },
		{ &c->resets, SCMI_SLOT(SCMI_PROTOCOL_RESET) },
		{ &c->voltages, SCMI_SLOT(SCMI_PROTOCOL_VOLTAGE) },
		{ &c->powercaps, SCMI_SLOT(SCMI_PROTOCOL_POWERCAP) },
	};
	const unsigned system = SCMI_SLOT(SCMI_PROTOCOL_SYSTEM);
	enum scmi_access access;
	int ret = 0;

	for (unsigned i = 0; !ret && i < ARRAY_LEN(lists); i++)
		ret = count(lists[i].list, lists[i].slot, rules, s, e);
	if (c->system_power && scmi_rules_judge(rules, "system", "system", &access))
		s->protocols |= 1u << system;
	return ret;
}

int scmi_summarize(struct scmi_summary *s, const struct scmi_config *config,
	const struct opt_list *grants, struct err *e)
{
	struct scmi_rules rules;
	int ret = scmi_rules_parse(&rules, grants, e);

	*s = (struct scmi_summary){ .protocols = 1 };
	if (!ret)
		ret = count_all(config, &rules, s, e);
	scmi_rules_free(&rules);
	return ret;
}
