/* SPDX-License-Identifier: BSD-3-Clause */
/* One verdict as a line of JSON, and back. */
#include <cJSON.h>
#include <string.h>

#include "base/util.h"
#include "conformance/host/report.h"

/* JSON is UTF-8: other bytes become question marks. */
static void make_utf8(char *p)
{
	while (*p) {
		unsigned char c = (unsigned char)*p;
		unsigned more = c < 0x80		? 0
				: c >= 0xc2 && c < 0xe0 ? 1
				: c >= 0xe0 && c < 0xf0 ? 2
				: c >= 0xf0 && c < 0xf5 ? 3
							: 9;

		for (unsigned i = 1; i <= more && more < 9; i++)
			if (((unsigned char)p[i] & 0xc0) != 0x80)
				more = 9;
		if (more == 9) {
			*p++ = '?';
			continue;
		}
		p += 1 + more;
	}
}

static bool add_text(cJSON *line, const char *key, const char *text)
{
	autofree char *copy = strdup(text);

	if (!copy)
		return false;
	make_utf8(copy);
	return cJSON_AddStringToObject(line, key, copy);
}

static bool fill(cJSON *line, const struct report_result *r)
{
	return add_text(line, "target", r->target) && add_text(line, "transport", r->transport) &&
	       add_text(line, "case", r->name) &&
	       add_text(line, "rings", report_rings_name(r->rings)) &&
	       add_text(line, "verdict", report_verdict_name(r->verdict)) &&
	       cJSON_AddNumberToObject(line, "ns", (double)r->ns) &&
	       add_text(line, "evidence", r->evidence) && add_text(line, "proves", r->proves);
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
