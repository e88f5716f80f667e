/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports as JUnit XML: a suite per target, a case per verdict. */
#include <string.h>

#include "base/util.h"
#include "conformance/host/report_priv.h"

static void write_attribute(const char *name, const char *value, FILE *f)
{
	fprintf(f, " %s=\"", name);
	report_write_escaped(value, f);
	fputc('"', f);
}

static void write_case(const struct report_result *v, FILE *f)
{
	char name[256];

	snprintf(name, sizeof(name), v->rings == REPORT_NO_RINGS ? "%s" : "%s [%s]", v->name,
		report_rings_name(v->rings));
	fputs("    <testcase", f);
	write_attribute("classname", v->target, f);
	write_attribute("name", name, f);
	fprintf(f, " time=\"%.6f\">\n", (double)v->ns / 1e9);
	if (v->verdict != CF_PASS) {
		fprintf(f, "      <%s", v->verdict == CF_FAIL ? "failure" : "skipped");
		write_attribute("message", v->evidence, f);
		fputs("/>\n", f);
	}
	fputs("      <system-out>", f);
	report_write_escaped(v->evidence, f);
	fputs(*v->evidence ? " " : "", f);
	report_write_escaped(v->proves, f);
	fputs("</system-out>\n    </testcase>\n", f);
}

static bool first_of_target(const struct report *r, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (!strcmp(r->v[j].target, r->v[i].target))
			return false;
	return true;
}

static void write_suite(const struct report *r, unsigned first, FILE *f)
{
	const char *target = r->v[first].target;
	struct report_counts c = { .n = { 0 } };
	uint64_t ns = 0;

	for (unsigned i = first; i < r->n; i++) {
		if (strcmp(r->v[i].target, target) != 0)
			continue;
		c.n[r->v[i].verdict]++;
		ns += r->v[i].ns;
	}
	fputs("  <testsuite", f);
	write_attribute("name", target, f);
	fprintf(f, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.6f\">\n",
		c.n[CF_PASS] + c.n[CF_FAIL] + c.n[CF_SKIP], c.n[CF_FAIL], c.n[CF_SKIP],
		(double)ns / 1e9);
	for (unsigned i = first; i < r->n; i++)
		if (!strcmp(r->v[i].target, target))
			write_case(&r->v[i], f);
	fputs("  </testsuite>\n", f);
}

void report_write_junit(const struct report *r, FILE *f)
{
	struct report_counts c = report_count(r);

	fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"avp conform\" tests=\"%u\" failures=\"%u\" skipped=\"%u\" "
		"time=\"%.6f\">\n",
		r->n, c.n[CF_FAIL], c.n[CF_SKIP], (double)r->ns / 1e9);
	for (unsigned i = 0; i < r->n; i++)
		if (first_of_target(r, i))
			write_suite(r, i, f);
	fputs("</testsuites>\n", f);
}
