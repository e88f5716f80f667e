/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reports of a run: text for people, TAP, JUnit XML, one HTML page, and JSON lines, which `avp
 * conform diff` reads. Every runner hands its verdicts in here:
 *
 *     struct report *r;
 *
 *     if (report_open(&r, &opts, &e)) ...
 *     report_add(r, &result);             as often as there are verdicts
 *     report_close(r, &failed, &e);
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"
#include "conformance/cf.h"

/* Where reports go. A path, "-" for standard output, NULL for no such report. Without any on
 * standard output the text goes there. */
struct report_opts {
	char *tap, *junit, *html, *json;
};

/* Rows for an option table: the fields of a struct report_opts that is a member of `owner`. */
#define REPORT_OPT(owner, member, key, text)                                                       \
	{                                                                                          \
		.name = #key, .type = OPT_STR, .offset = offsetof(owner, member.key), .help = text \
	}
#define REPORT_OPTS(owner, member)                                                                 \
	REPORT_OPT(owner, member, tap, "TAP to this file, or - for standard output"),              \
		REPORT_OPT(owner, member, junit, "JUnit XML, likewise"),                           \
		REPORT_OPT(owner, member, html, "one HTML page, likewise"),                        \
		REPORT_OPT(owner, member, json, "JSON lines for avp conform diff, likewise")

/* The rings that a case ran with. */
enum report_rings { REPORT_NO_RINGS, REPORT_SPLIT, REPORT_PACKED };

/* One verdict. Strings are copied; they may hold anything. */
struct report_result {
	const char *target;    /* what was judged: "blk", "console-ports", ... */
	const char *transport; /* "vhost-user", "pci", "mmio" */
	const char *name;      /* of the case */
	const char *proves;    /* IDs, separated by blanks */
	enum report_rings rings;
	enum cf_verdict verdict;
	uint64_t ns;
	const char *evidence; /* "" if there is none */
};

struct report;

/* Opens all files that are asked for. Returns 0 or -errno. */
int report_open(struct report **r, const struct report_opts *opts, struct err *e);
void report_add(struct report *r, const struct report_result *result);
/* What a case claims, by name: for runners that only hear of it. "" for none that is known. */
const char *report_proves(const char *name);
/* Something that is wrong with the run itself, such as a target that does not start: counts as a
 * failure of `target`. */
void report_broken(struct report *r, const char *target, const char *why);
/* Finishes all reports and frees. `failed` is the number of failures; a run without any verdict is
 * one. */
int report_close(struct report *r, unsigned *failed, struct err *e);

/* Makes text that may be anything (of a guest, of a back-end, of a file) one line of valid UTF-8,
 * in which nothing gives orders to a terminal. */
void report_clean(char *text);

/* JSON lines. */

/* What a line is. REPORT_END is the last one of a run that was completed. */
enum report_line { REPORT_BAD, REPORT_VERDICT, REPORT_END };

/* Reads a line. The strings of a verdict are clean and belong to `*doc`, to be freed with
 * report_json_free(). */
struct cJSON;
enum report_line report_from_json(
	const char *line, struct report_result *result, struct cJSON **doc);
void report_json_free(struct cJSON *doc);

/* Names of verdicts ("pass") and rings ("split", "packed", "-"), and back; false if it is none. */
const char *report_verdict_name(enum cf_verdict v);
const char *report_rings_name(enum report_rings rings);
bool report_verdict(const char *name, enum cf_verdict *v);
bool report_rings(const char *name, enum report_rings *rings);
