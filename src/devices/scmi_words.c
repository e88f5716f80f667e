/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking descriptions of resources apart. */
#include "devices/scmi_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"

#define BLANKS " \t"

static int add_word(struct scmi_words *w, char *text, struct err *e)
{
	char *eq = strchr(text, '=');

	if (w->n == SCMI_WORDS_MAX)
		return err_set(
			e, -EINVAL, "'%.40s' has more than %u words", w->name, SCMI_WORDS_MAX);
	if (eq)
		*eq++ = '\0';
	for (unsigned i = 0; i < w->n; i++)
		if (!strcmp(w->word[i].key, text))
			return err_set(e, -EINVAL, "'%.40s' says '%.40s' twice", w->name, text);
	w->word[w->n].key = text;
	w->word[w->n++].value = eq;
	return 0;
}

int scmi_words_parse(struct scmi_words *w, const char *text, struct err *e)
{
	char *save = NULL, *next;
	int ret = 0;

	memset(w, 0, sizeof(*w));
	w->text = strdup(text);
	if (!w->text)
		return err_set(e, -ENOMEM, "out of memory");
	w->name = strtok_r(w->text, BLANKS, &save);
	if (!w->name || strchr(w->name, '='))
		return err_set(e, -EINVAL, "'%.64s' does not begin with a name", text);
	while (!ret && (next = strtok_r(NULL, BLANKS, &save)))
		ret = add_word(w, next, e);
	return ret;
}

void scmi_words_free(struct scmi_words *w)
{
	free(w->text);
	memset(w, 0, sizeof(*w));
}

int scmi_words_end(const struct scmi_words *w, struct err *e)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!w->word[i].used)
			return err_set(e, -EINVAL,
				"'%.40s': '%.40s%s' is not known here, or %s a value", w->name,
				w->word[i].key, w->word[i].value ? "=" : "",
				w->word[i].value ? "takes no" : "lacks");
	return 0;
}

static int find(struct scmi_words *w, const char *key, bool with_value)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (strcmp(w->word[i].key, key) != 0 || !w->word[i].value == with_value)
			continue;
		w->word[i].used = true;
		return (int)i;
	}
	return -1;
}

const char *scmi_word(struct scmi_words *w, const char *key)
{
	int i = find(w, key, true);

	return i < 0 ? NULL : w->word[i].value;
}

bool scmi_word_flag(struct scmi_words *w, const char *key)
{
	return find(w, key, false) >= 0;
}

int scmi_parse_number(const char *text, int64_t min, int64_t max, int64_t *v)
{
	long long n;
	char *end;

	if (!isdigit((unsigned char)text[*text == '-']))
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 0);
	if (errno || *end || n < min || n > max)
		return -EINVAL;
	*v = n;
	return 0;
}

static int bad_number(const struct scmi_words *w, const char *key, const char *text, int64_t min,
	int64_t max, struct err *e)
{
	return err_set(e, -EINVAL,
		"'%.40s': %s=%.40s: a number is not a whole one from %lld to %lld", w->name, key,
		text, (long long)min, (long long)max);
}

static int number(
	struct scmi_words *w, const char *key, int64_t min, int64_t max, int64_t *v, struct err *e)
{
	const char *text = scmi_word(w, key);

	if (!text || !scmi_parse_number(text, min, max, v))
		return 0;
	return bad_number(w, key, text, min, max, e);
}

int scmi_word_u64(struct scmi_words *w, const char *key, uint64_t min, uint64_t max, uint64_t *v,
	struct err *e)
{
	int64_t n = (int64_t)*v;
	int ret = number(w, key, (int64_t)min, (int64_t)(max > INT64_MAX ? INT64_MAX : max), &n, e);

	*v = (uint64_t)n;
	return ret;
}

int scmi_word_u32(struct scmi_words *w, const char *key, uint32_t min, uint32_t max, uint32_t *v,
	struct err *e)
{
	int64_t n = *v;
	int ret = number(w, key, min, max, &n, e);

	*v = (uint32_t)n;
	return ret;
}

int scmi_word_s32(
	struct scmi_words *w, const char *key, int32_t min, int32_t max, int32_t *v, struct err *e)
{
	int64_t n = *v;
	int ret = number(w, key, min, max, &n, e);

	*v = (int32_t)n;
	return ret;
}

int scmi_word_us(struct scmi_words *w, const char *key, uint32_t max, uint32_t *us, struct err *e)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "", 1 } };
	const char *text = scmi_word(w, key);
	unsigned long long n = 0;
	char *end = NULL;

	if (!text)
		return 0;
	errno = 0;
	if (isdigit((unsigned char)*text))
		n = strtoull(text, &end, 10);
	for (unsigned i = 0; end && !errno && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) != 0 || n > max / units[i].us)
			continue;
		*us = (uint32_t)(n * units[i].us);
		return 0;
	}
	return err_set(e, -EINVAL,
		"'%.40s': %s=%.40s is not a time of up to %u us, as in 100us, 5ms or 2s", w->name,
		key, text, max);
}

int scmi_word_enum(
	struct scmi_words *w, const char *key, const char *const *words, unsigned *v, struct err *e)
{
	const char *text = scmi_word(w, key), *near;
	unsigned n;

	if (!text)
		return 0;
	for (n = 0; words[n]; n++) {
		if (strcmp(words[n], text) != 0)
			continue;
		*v = n;
		return 0;
	}
	near = opt_nearest(text, words, n);
	return err_set(e, -EINVAL, "'%.40s': %s=%.40s is not known; try %s", w->name, key, text,
		near ? near : words[0]);
}

int scmi_word_list(struct scmi_words *w, const char *key, int64_t min, int64_t top, int64_t *v,
	unsigned max, unsigned *n, struct err *e)
{
	return scmi_word_tuples(w, key, min, top, v, 1, max, n, e);
}

/* The number at *text up to ':', '/' or the end, which *text is moved to. */
static int take_number(const char **text, int64_t min, int64_t top, int64_t *v)
{
	size_t len = strcspn(*text, ":/");
	char one[32];

	if (len >= sizeof(one))
		return -EINVAL;
	memcpy(one, *text, len);
	one[len] = '\0';
	*text += len;
	return scmi_parse_number(one, min, top, v);
}

static int take_tuple(const char **text, int64_t min, int64_t top, int64_t *v, unsigned width)
{
	int ret = 0;

	memset(v, 0, width * sizeof(*v));
	for (unsigned i = 0; !ret && i < width; i++) {
		ret = take_number(text, min, top, &v[i]);
		if (**text != ':')
			return ret;
		(*text)++;
	}
	return -EINVAL;
}

int scmi_word_tuples(struct scmi_words *w, const char *key, int64_t min, int64_t top, int64_t *v,
	unsigned width, unsigned max, unsigned *n, struct err *e)
{
	const char *text = scmi_word(w, key), *at = text;
	unsigned k = 0;

	if (!text)
		return 0;
	do {
		if (k == max)
			return err_set(e, -EINVAL, "'%.40s': %s has more than %u values", w->name,
				key, max);
		if (take_tuple(&at, min, top, v + (size_t)k * width, width))
			return bad_number(w, key, text, min, top, e);
		k++;
	} while (*at++);
	*n = k;
	return 0;
}
