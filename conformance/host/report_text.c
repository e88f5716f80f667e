/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports as text: for people, and TAP. */
#include <string.h>

#include "conformance/host/report_priv.h"
#include "conformance/host/spec.h"

/* "vq" of "vq.indirect.loop". */
static size_t area_len(const struct report_result *v)
{
	return strcspn(v->name, ".");
}

static bool same_area(const struct report_result *a, const struct report_result *b)
{
	size_t len = area_len(a);

	return len == area_len(b) && !strncmp(a->name, b->name, len) &&
	       !strcmp(a->target, b->target);
}

/* One line for all cases of an area on a target; it stands where the first of them was. */
static void write_area(const struct report *r, unsigned first, FILE *f)
{
	struct report_counts c = { .n = { 0 } };
	uint64_t ns = 0;
	char name[64];

	for (unsigned i = 0; i < first; i++)
		if (same_area(&r->v[i], &r->v[first]))
			return;
	for (unsigned i = first; i < r->n; i++) {
		if (!same_area(&r->v[i], &r->v[first]))
			continue;
		c.n[r->v[i].verdict]++;
		ns += r->v[i].ns;
	}
	snprintf(name, sizeof(name), "%s: %.*s", r->v[first].target, (int)area_len(&r->v[first]),
		r->v[first].name);
	fprintf(f, "%-6s %-28s %4u passed %4u failed %4u skipped %8.1f ms\n",
		c.n[CF_FAIL]   ? "FAIL"
		: c.n[CF_PASS] ? "ok"
			       : "skip",
		name, c.n[CF_PASS], c.n[CF_FAIL], c.n[CF_SKIP], (double)ns / 1e6);
}

static void write_title(const struct report_result *v, FILE *f)
{
	fprintf(f, "%s: %s", v->target, v->name);
	if (v->rings != REPORT_NO_RINGS)
		fprintf(f, " [%s]", report_rings_name(v->rings));
}

static void write_failure(const struct report_result *v, FILE *f)
{
	const char *proves = v->proves;
	char id[32];

	fputs("\nFAIL ", f);
	write_title(v, f);
	fprintf(f, "\n  %s\n", v->evidence);
	while (report_next_id(&proves, id)) {
		const struct spec_entry *entry = spec_find(id);

		fprintf(f, "  %s: %s\n", id, entry ? entry->text : "not in the catalogue");
		if (entry && *entry->source)
			fprintf(f, "      (%s)\n", entry->source);
	}
}

void report_write_text(const struct report *r, FILE *f)
{
	struct report_counts c = report_count(r);

	for (unsigned i = 0; i < r->n; i++)
		write_area(r, i, f);
	for (unsigned i = 0; i < r->n; i++)
		if (r->v[i].verdict == CF_FAIL)
			write_failure(&r->v[i], f);
	fprintf(f, "\n%u passed, %u failed, %u skipped in %.1f s\n", c.n[CF_PASS], c.n[CF_FAIL],
		c.n[CF_SKIP], (double)r->ns / 1e9);
}

/* '#' begins a directive in a TAP line. */
static void write_escaped(const char *text, FILE *f)
{
	for (; *text; text++) {
		if (*text == '#' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

void report_tap_result(FILE *f, unsigned number, const struct report_result *v)
{
	fprintf(f, "%s %u - ", v->verdict == CF_FAIL ? "not ok" : "ok", number);
	write_escaped(v->target, f);
	fputs(": ", f);
	write_escaped(v->name, f);
	if (v->rings != REPORT_NO_RINGS)
		fprintf(f, " [%s]", report_rings_name(v->rings));
	if (v->verdict == CF_SKIP) {
		fputs(" # SKIP ", f);
		write_escaped(v->evidence, f);
	}
	fputc('\n', f);
	if (v->verdict == CF_FAIL)
		fprintf(f, "# %s (%s)\n", v->evidence, *v->proves ? v->proves : "claims nothing");
	fflush(f);
}
