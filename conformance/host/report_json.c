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

/* One line, and the end of `doc`. */
static char *print_line(cJSON *doc, bool complete)
{
	autofree char *text = complete ? cJSON_PrintUnformatted(doc) : NULL;
	char *line = NULL;

	cJSON_Delete(doc);
	if (text && asprintf(&line, "%s\n", text) < 0)
		return NULL;
	return line;
}

char *report_to_json(const struct report_result *r)
{
	cJSON *doc = cJSON_CreateObject();

	return print_line(doc, doc && fill(doc, r));
}

char *report_end_to_json(const struct report *r)
{
	struct report_counts c = report_count(r);
	cJSON *doc = cJSON_CreateObject(), *end = doc ? cJSON_AddObjectToObject(doc, "end") : NULL;
	bool complete = end && cJSON_AddNumberToObject(end, "ns", (double)r->ns);

	for (unsigned v = CF_PASS; v <= CF_SKIP; v++)
		complete = complete && cJSON_AddNumberToObject(end, report_verdict_name(v), c.n[v]);
	return print_line(doc, complete);
}

static const char *get(const cJSON *line, const char *key)
{
	char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, key));

	if (text)
		report_clean(text);
	return text;
}

enum report_line report_from_json(const char *text, struct report_result *r, struct cJSON **doc)
{
	enum report_line kind = REPORT_BAD;
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
		return REPORT_VERDICT;
	}
	if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(line, "end")))
		kind = REPORT_END;
	cJSON_Delete(line);
	return kind;
}

void report_json_free(struct cJSON *doc)
{
	cJSON_Delete(doc);
}
