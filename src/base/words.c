/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS	" \t"
#define KEY_MAX 64

int words_split(struct words *w, const char *text, struct err *e)
{
	char *save = NULL;

	*w = (struct words){ .text = strdup(text) };
	if (!w->text)
		return err_set(e, -ENOMEM, "out of memory");
	for (char *p = strtok_r(w->text, BLANKS, &save); p; p = strtok_r(NULL, BLANKS, &save)) {
		if (w->n == WORDS_MAX) {
			words_free(w);
			return err_set(
				e, -EINVAL, "'%.64s' has more than %u words", text, WORDS_MAX);
		}
		w->v[w->n++] = p;
	}
	if (w->n)
		return 0;
	words_free(w);
	return err_set(e, -EINVAL, "an empty line");
}

void words_free(struct words *w)
{
	free(w->text);
	*w = (struct words){ 0 };
}

int words_set(const struct opt *table, void *base, char *const *v, unsigned n, struct err *e)
{
	for (unsigned i = 0; i < n; i++) {
		size_t len = strcspn(v[i], "=");
		char key[KEY_MAX];
		int r;

		if (!len || len >= sizeof(key))
			return err_set(e, -EINVAL, "'%.64s' is no KEY=VALUE", v[i]);
		memcpy(key, v[i], len);
		key[len] = 0;
		r = opt_set(table, base, key, v[i][len] ? v[i] + len + 1 : "true", e);
		if (r)
			return r;
	}
	return 0;
}

int words_number(const char *word, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;
	char *end;

	if (!isdigit((unsigned char)*word))
		return -EINVAL;
	errno = 0;
	v = strtoull(word, &end, 0);
	if (errno || *end || v < min || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}
