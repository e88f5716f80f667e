/* SPDX-License-Identifier: BSD-3-Clause */
/* Test programs: TAP on standard output, one line per case. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state of one test program; main() owns it. */
struct tap {
	int n, failed;
	int case_failed;
	const char *skip;
};

/* Checks a condition of the current case; the case goes on after a failure. */
#define CHECK(t, cond) tap_check((t), !!(cond), __FILE__, __LINE__, #cond)
/* The same for equal integers, showing both. */
#define CHECK_EQ(t, a, b) \
	tap_check_eq((t), (long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b)
/* Leaves the test function when the rest of it makes no sense. */
#define REQUIRE(t, cond)                \
	do {                            \
		if (!CHECK((t), cond))  \
			return;         \
	} while (0)

static inline int tap_check(struct tap *t, int ok, const char *file, int line, const char *what)
{
	if (!ok) {
		t->case_failed = 1;
		printf("# %s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

static inline int tap_check_eq(struct tap *t, long long a, long long b, const char *file, int line,
	const char *what)
{
	if (a != b) {
		t->case_failed = 1;
		printf("# %s:%d: failed: %s (%lld, %lld)\n", file, line, what, a, b);
	}
	return a == b;
}

/* Marks the current case as skipped, with the reason. */
static inline void tap_skip(struct tap *t, const char *why)
{
	t->skip = why;
}

static inline void tap_run(struct tap *t, const char *name, void (*fn)(struct tap *))
{
	t->case_failed = 0;
	t->skip = NULL;
	fn(t);
	t->n++;
	t->failed += t->case_failed;
	printf("%s %d - %s%s%s\n", t->case_failed ? "not ok" : "ok", t->n, name,
		t->skip ? " # SKIP " : "", t->skip ? t->skip : "");
	fflush(stdout);
}

#define TAP_RUN(t, fn) tap_run((t), #fn, fn)

/* The plan; returns the program's exit status. */
static inline int tap_done(const struct tap *t)
{
	printf("1..%d\n", t->n);
	return t->failed ? 1 : 0;
}
