/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of words, as lists in the system file have them: "0x50 eeprom size=4K readonly". */
#pragma once

#include "base/err.h"
#include "base/opt.h"

#define WORDS_MAX 32u
/* How a word with a path begins (OPT_FILES). */
#define WORDS_FILE "file="

/* A line cut at its blanks. */
struct words {
	char *text; /* owned; the words are in it */
	char *v[WORDS_MAX];
	unsigned n;
};

/* -EINVAL: there are none, or more than WORDS_MAX. `w` needs no initialisation. */
int words_split(struct words *w, const char *text, struct err *e);
void words_free(struct words *w);
/* Sets keys of `table` from words KEY=VALUE, the last of a kind wins; KEY alone is KEY=true. Errors
 * as opt_set(). */
int words_set(const struct opt *table, void *base, char *const *v, unsigned n, struct err *e);
/* A whole number from `min` to `max`, decimal or 0x...; -EINVAL. */
int words_number(const char *word, uint64_t min, uint64_t max, uint64_t *out);
