/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptions of resources: "uart rate=48000000 rates=24000000/48000000 readonly". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SCMI_WORDS_MAX 24u

/* A description in pieces. `text` is owned, the others point into it. */
struct scmi_words {
	char *text;
	const char *name;
	struct {
		const char *key, *value; /* value: NULL for a word without '=' */
		bool used;
	} word[SCMI_WORDS_MAX];
	unsigned n;
};

/* Splits a description at blanks. -EINVAL with a reason: no name, too many words, a word twice. */
int scmi_words_parse(struct scmi_words *w, const char *text, struct err *e);
/* Accepts what was zeroed or freed. */
void scmi_words_free(struct scmi_words *w);
/* -EINVAL, naming the first word that nobody asked for. */
int scmi_words_end(const struct scmi_words *w, struct err *e);

/* The value of `key`, or NULL if it is absent or has none. */
const char *scmi_word(struct scmi_words *w, const char *key);
/* True if `key` is there without a value. */
bool scmi_word_flag(struct scmi_words *w, const char *key);
/* A whole number from min to max; *v is left alone if the key is absent. */
int scmi_word_u64(struct scmi_words *w, const char *key, uint64_t min, uint64_t max, uint64_t *v,
	struct err *e);
int scmi_word_u32(struct scmi_words *w, const char *key, uint32_t min, uint32_t max, uint32_t *v,
	struct err *e);
/* The same with a sign. */
int scmi_word_s32(
	struct scmi_words *w, const char *key, int32_t min, int32_t max, int32_t *v, struct err *e);
/* A time in microseconds: 100us, 5ms, 2s; a bare number is in microseconds. */
int scmi_word_us(struct scmi_words *w, const char *key, uint32_t max, uint32_t *us, struct err *e);
/* One of `words`, which ends with NULL: its index. */
int scmi_word_enum(struct scmi_words *w, const char *key, const char *const *words, unsigned *v,
	struct err *e);
/* Numbers separated by '/', at most `max`; *n is left alone if the key is absent. */
int scmi_word_list(struct scmi_words *w, const char *key, int64_t min, int64_t top, int64_t *v,
	unsigned max, unsigned *n, struct err *e);

/* The same with up to `width` numbers each, separated by ':'; those left out are 0. */
int scmi_word_tuples(struct scmi_words *w, const char *key, int64_t min, int64_t top, int64_t *v,
	unsigned width, unsigned max, unsigned *n, struct err *e);

/* A whole number in `text`, all of it. -EINVAL without a message. */
int scmi_parse_number(const char *text, int64_t min, int64_t max, int64_t *v);
