/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration keys as a table: one row per key with type, default, range and help. The system
 * file, the command line, --help and the manual read the same rows; a key lands in a field of the
 * owner's structure. Rows are constant data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum opt_type {
	OPT_BOOL, /* bool: true|false|yes|no|on|off */
	OPT_U32,  /* uint32_t, decimal or 0x; the one word of `words`, if any, is OPT_U32_WORD */
	OPT_U64,  /* uint64_t */
	OPT_SIZE, /* uint64_t bytes, with K, M, G, T (powers of 1024) */
	OPT_STR,  /* char *, owned, NULL when unset */
	OPT_PATH, /* as OPT_STR; the system file resolves it against its folder, unless one of
		     `words` */
	OPT_ENUM, /* int, index into `words` */
	OPT_MAC,  /* struct opt_mac */
	OPT_LIST, /* struct opt_list; a key may be given several times or comma-separated */
	OPT_TIME, /* uint32_t milliseconds, as in 10s, 500ms, 2m; a bare number is seconds */
};

#define OPT_U32_WORD UINT32_MAX

struct opt_mac {
	uint8_t addr[6];
	bool set;
};

/* Owned strings. */
struct opt_list {
	char **v;
	unsigned n;
};

#define OPT_REQUIRED 1u /* an error if absent */
#define OPT_FILES    2u /* lines of a list may have words file=PATH, resolved as OPT_PATH */

/* One key. The table ends with a row whose name is NULL. */
struct opt {
	const char *name; /* as written in the system file and after "--" */
	enum opt_type type;
	size_t offset;		  /* of the field in the owner's structure */
	const char *def;	  /* default as text, or NULL: zero */
	uint64_t min, max;	  /* for numbers and times (ms); max 0 means no bound */
	const char *const *words; /* for OPT_ENUM, OPT_PATH and OPT_U32, ends with NULL */
	const char *help;	  /* one line: meaning, unit */
	unsigned flags;
};

#define OPT_END                                                                                    \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* Fills every field with its default. `base` was zeroed. Returns 0 or -errno. */
int opt_defaults(const struct opt *table, void *base, struct err *e);
/* Sets one key from text. Unknown key: -ENOENT, naming the nearest known one. Bad value: -EINVAL,
 * saying what was found and what is allowed. */
int opt_set(const struct opt *table, void *base, const char *key, const char *value, struct err *e);
/* Fails with -EINVAL naming the first required key that is unset. */
int opt_check(const struct opt *table, const void *base, struct err *e);
/* Frees strings and lists. */
void opt_free(const struct opt *table, void *base);

const struct opt *opt_find(const struct opt *table, const char *key);
/* The word nearest to `word` by edit distance among names[0..n), or NULL if none is near. */
const char *opt_nearest(const char *word, const char *const *names, unsigned n);
/* A line per key: "--image PATH   help (default: ...)". */
void opt_help(const struct opt *table, FILE *f);

/* Parses a size with suffix; returns 0 or -EINVAL. */
int opt_parse_size(const char *text, uint64_t *out);
/* A time to milliseconds; returns 0 or -EINVAL. */
int opt_parse_time(const char *text, uint32_t *ms);
int opt_parse_mac(const char *text, uint8_t mac[6]);
