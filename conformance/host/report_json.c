/* SPDX-License-Identifier: BSD-3-Clause */
/* One verdict as a line of JSON, and back. */
#include <cJSON.h>
#include <string.h>

#include "base/util.h"
#include "conformance/host/report_priv.h"

static bool add(cJSON *line, const char *key, const char *text)
{
	return cJSON_AddStringToObject(line, key, text);
}

static bool fill(cJSON *line, const struct report_result *r)
{
	return add(line, "target", r->target) && add(line, "transport", r->transport) &&
	       add(line, "case", r->name) && add(line, "rings", report_rings_name(r->rings)) &&
	       add(line, "verdict", report_verdict_name(r->verdict)) &&
	       cJSON_AddNumberToObject(line, "ns", (double)r->ns) &&
	       add(line, "evidence", r->evidence) && add(line, "proves", r->proves);
}

char *report_to_json(const struct report_result *r)
{
	cJSON *line = cJSON_CreateObject();
	autofree char *text = NULL;
	char *whole = NULL;

	if (line && fill(line, r))
		text = cJSON_PrintUnformatted(line);
	cJSON_Delete(line);
	if (text && asprintf(&whole, "%s\n", text) < 0)
		return NULL;
	return whole;
}

static const char *get(const cJSON *line, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, key));
}

bool report_from_json(const char *text, struct report_result *r, struct cJSON **doc)
{
	cJSON *line = cJSON_Parse(text);
	const cJSON *ns = cJSON_GetObjectItemCaseSensitive(line, "ns");
	const char *rings = get(line, "rings"), *verdict = get(line, "verdict");

	*r = (struct report_result){
		.target = get(line, "target"),
		.transport = get(line, "transport"),
		.name = get(line, "case"),
		.proves = get(line, "proves"),
		.evidence = get(line, "evidence"),
	};
	if (r->target && r->transport && r->name && r->proves && r->evidence && rings && verdict &&
		report_rings(rings, &r->rings) && report_verdict(verdict, &r->verdict)) {
		if (cJSON_IsNumber(ns) && ns->valuedouble > 0 && ns->valuedouble < 1e18)
			r->ns = (uint64_t)ns->valuedouble;
		*doc = line;
		return true;
	}
	cJSON_Delete(line);
	return false;
}

void report_json_free(struct cJSON *doc)
{
	cJSON_Delete(doc);
}
