/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of reports only. */
#pragma once

#include <stdio.h>

#include "conformance/host/report.h"

struct spec_entry;

/* One file that is written; NULL if it was not asked for. */
enum report_form { REPORT_TAP, REPORT_JUNIT, REPORT_HTML, REPORT_JSON, REPORT_FORMS };

struct report {
	FILE *file[REPORT_FORMS];
	bool text; /* to standard output */
	uint64_t start_ns, ns;
	/* With strings of its own: valid UTF-8 without control characters. */
	struct report_result *v;
	unsigned n, room;
	bool lost; /* a verdict could not be kept: no memory */
};

struct report_counts {
	unsigned n[3]; /* by verdict */
};

/* What the cases that claim one requirement say of it. */
struct report_requirement {
	const struct spec_entry *entry;
	struct report_counts counts;
	uint64_t ns;
	const struct report_result *first[3]; /* of each verdict, NULL if there is none */
};

/* All entries of the catalogue, in its order; NULL without memory. The caller frees it. */
struct report_requirement *report_requirements(const struct report *r);
/* True if some case claims it. */
bool report_judged(const struct report_requirement *q);
/* Fail if a case failed, pass if at least one passed, else skip. */
enum cf_verdict report_requirement_verdict(const struct report_requirement *q);

struct report_counts report_count(const struct report *r);
/* The next ID in a list; false at its end. */
bool report_next_id(const char **proves, char id[32]);

/* Text for XML and HTML, attributes included. */
void report_write_escaped(const char *text, FILE *f);
/* Lines of JSON, with their ends; NULL without memory. The caller frees them. */
char *report_to_json(const struct report_result *result);
char *report_end_to_json(const struct report *r);
void report_tap_result(FILE *f, unsigned number, const struct report_result *v);
void report_write_text(const struct report *r, FILE *f);
void report_write_junit(const struct report *r, FILE *f);
void report_write_html(const struct report *r, FILE *f);
