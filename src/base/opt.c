/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define WORD_MAX    64
#define LIST_MAX    256
#define ALLOWED_MAX 384

static void *field(const struct opt *o, void *base)
{
	return (char *)base + o->offset;
}

const struct opt *opt_find(const struct opt *table, const char *key)
{
	for (; table->name; table++)
		if (!strcmp(table->name, key))
			return table;
	return NULL;
}

/* How many letters were left out, added, mistaken or swapped with their neighbour, in words of at
 * most WORD_MAX bytes; longer ones are far from everything. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (unsigned j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned *before = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			uint64_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = min_u64(best, min_u64(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min_u64(best, before[j - 2] + 1);
			row[j] = (unsigned)best;
		}
	}
	return rows[na % 3][nb];
}

const char *opt_nearest(const char *word, const char *const *names, unsigned n)
{
	const char *best = NULL;
	unsigned best_distance = (unsigned)strlen(word) / 3 + 2;

	for (unsigned i = 0; i < n; i++) {
		unsigned d = distance(word, names[i]);

		if (d < best_distance) {
			best_distance = d;
			best = names[i];
		}
	}
	return best;
}

int opt_parse_size(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	unsigned shift = 0;
	char *end;
	uint64_t v;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno)
		return -EINVAL;
	if (*end) {
		const char *s = strchr(suffixes, toupper((unsigned char)*end));

		if (!s)
			return -EINVAL;
		shift = 10 * (unsigned)(s - suffixes + 1);
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end += strlen(end);
	}
	if (*end || (v << shift) >> shift != v)
		return -EINVAL;
	*out = v << shift;
	return 0;
}

int opt_parse_time(const char *text, uint32_t *ms)
{
	unsigned long long v, unit = 1000;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (!strcmp(end, "ms"))
		unit = 1;
	else if (!strcmp(end, "m"))
		unit = 60000;
	else if (*end && strcmp(end, "s") != 0)
		return -EINVAL;
	if (errno || v > UINT32_MAX / unit)
		return -EINVAL;
	*ms = (uint32_t)(v * unit);
	return 0;
}

int opt_parse_mac(const char *text, uint8_t mac[6])
{
	unsigned byte[6];
	int used = -1;

	sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
		&byte[5], &used);
	if (used != 17 || text[used])
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
	return 0;
}

static int parse_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcmp(text, yes[i]) && strcmp(text, no[i]))
			continue;
		*out = !strcmp(text, yes[i]);
		return 0;
	}
	return -EINVAL;
}

static int parse_number(const struct opt *o, const char *text, uint64_t *out)
{
	uint64_t max = o->max ? o->max : UINT64_MAX;
	char *end;

	if (o->type == OPT_U32 && max > UINT32_MAX)
		max = UINT32_MAX;
	if (o->type == OPT_U32 && o->words && !strcmp(text, o->words[0])) {
		*out = OPT_U32_WORD;
		return 0;
	}
	if (o->type == OPT_SIZE) {
		if (opt_parse_size(text, out))
			return -EINVAL;
	} else {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		errno = 0;
		*out = strtoull(text, &end, 0);
		if (errno || *end)
			return -EINVAL;
	}
	return *out < o->min || *out > max ? -EINVAL : 0;
}

static int set_time(const struct opt *o, uint32_t *slot, const char *value)
{
	uint32_t ms;

	if (opt_parse_time(value, &ms) || ms < o->min || (o->max && ms > o->max))
		return -EINVAL;
	*slot = ms;
	return 0;
}

static int set_string(char **slot, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*slot);
	*slot = copy;
	return 0;
}

static int set_enum(const struct opt *o, int *slot, const char *value)
{
	for (int i = 0; o->words[i]; i++) {
		if (strcmp(o->words[i], value))
			continue;
		*slot = i;
		return 0;
	}
	return -EINVAL;
}

/* Appends the comma-separated words of `value`. */
static int add_list(struct opt_list *list, const char *value)
{
	while (*value) {
		size_t len = strcspn(value, ",");
		char **v;

		if (list->n == LIST_MAX)
			return -E2BIG;
		v = reallocarray(list->v, list->n + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		list->v = v;
		v[list->n] = strndup(value, len);
		if (!v[list->n])
			return -ENOMEM;
		list->n++;
		value += len;
		value += *value == ',';
	}
	return 0;
}

static int store(const struct opt *o, void *base, const char *value)
{
	void *p = field(o, base);
	struct opt_mac mac = { .set = true };
	uint64_t number;
	int ret;

	switch (o->type) {
	case OPT_BOOL:
		return parse_bool(value, p);
	case OPT_U32:
	case OPT_U64:
	case OPT_SIZE:
		ret = parse_number(o, value, &number);
		if (ret)
			return ret;
		if (o->type == OPT_U32)
			*(uint32_t *)p = (uint32_t)number;
		else
			*(uint64_t *)p = number;
		return 0;
	case OPT_STR:
	case OPT_PATH:
		return set_string(p, value);
	case OPT_ENUM:
		return set_enum(o, p, value);
	case OPT_MAC:
		ret = opt_parse_mac(value, mac.addr);
		if (!ret)
			*(struct opt_mac *)p = mac;
		return ret;
	case OPT_LIST:
		return add_list(p, value);
	case OPT_TIME:
		return set_time(o, p, value);
	default:
		return -EINVAL;
	}
}

static void describe_range(const struct opt *o, const char *what, char *buf, size_t len)
{
	uint64_t max = o->max;

	if (!max && o->type == OPT_U32)
		max = UINT32_MAX;
	if (max)
		snprintf(buf, len, "%s from %llu to %llu", what, (unsigned long long)o->min,
			(unsigned long long)max);
	else
		snprintf(buf, len, "%s of at least %llu", what, (unsigned long long)o->min);
}

static void describe_time(const struct opt *o, char *buf, size_t len)
{
	unsigned long long max = o->max ? o->max : UINT32_MAX;

	snprintf(buf, len, "a time from %llu to %llu ms, as in 10s, 500ms or 2m",
		(unsigned long long)o->min, max);
}

static void describe_allowed(const struct opt *o, char *buf, size_t len)
{
	size_t n;

	switch (o->type) {
	case OPT_BOOL:
		snprintf(buf, len, "true or false");
		return;
	case OPT_U32:
	case OPT_U64:
		describe_range(o, "a whole number", buf, len);
		n = strlen(buf);
		if (o->words)
			snprintf(buf + n, len - n, ", or %s", o->words[0]);
		return;
	case OPT_SIZE:
		describe_range(o, "bytes, or a number with K, M, G or T,", buf, len);
		return;
	case OPT_ENUM:
		n = (size_t)snprintf(buf, len, "one of");
		for (int i = 0; o->words[i] && n < len; i++)
			n += (size_t)snprintf(buf + n, len - n, "%s %s", i ? "," : "", o->words[i]);
		return;
	case OPT_MAC:
		snprintf(buf, len, "six hexadecimal bytes, as in 52:54:00:12:34:56");
		return;
	case OPT_LIST:
		snprintf(buf, len, "a list of at most %d words", LIST_MAX);
		return;
	case OPT_TIME:
		describe_time(o, buf, len);
		return;
	case OPT_STR:
	case OPT_PATH:
	default:
		snprintf(buf, len, "text");
		return;
	}
}

static int unknown_key(const struct opt *table, const char *key, struct err *e)
{
	const char *names[WORD_MAX];
	const char *near;
	char all[ALLOWED_MAX] = "";
	size_t used = 0;
	unsigned n = 0;

	for (const struct opt *o = table; o->name && n < ARRAY_LEN(names); o++) {
		names[n++] = o->name;
		if (used < sizeof(all))
			used += (size_t)snprintf(
				all + used, sizeof(all) - used, "%s%s", used ? ", " : "", o->name);
	}
	near = opt_nearest(key, names, n);
	if (near)
		return err_set(e, -ENOENT, "unknown key '%.64s' (did you mean '%s'?)", key, near);
	return err_set(e, -ENOENT, "unknown key '%.64s'; possible: %s", key, all);
}

int opt_set(const struct opt *table, void *base, const char *key, const char *value, struct err *e)
{
	const struct opt *o = opt_find(table, key);
	char allowed[ALLOWED_MAX];
	int ret;

	if (!o)
		return unknown_key(table, key, e);
	ret = store(o, base, value);
	if (ret == -ENOMEM)
		return err_set(e, ret, "out of memory for key '%s'", key);
	if (!ret)
		return 0;
	describe_allowed(o, allowed, sizeof(allowed));
	return err_set(e, ret, "'%.64s' is no value for '%s': it takes %s", value, key, allowed);
}

int opt_defaults(const struct opt *table, void *base, struct err *e)
{
	for (const struct opt *o = table; o->name; o++) {
		int ret = o->def ? opt_set(table, base, o->name, o->def, e) : 0;

		if (ret)
			return ret;
	}
	return 0;
}

static bool is_set(const struct opt *o, const void *base)
{
	const void *p = (const char *)base + o->offset;

	switch (o->type) {
	case OPT_STR:
	case OPT_PATH:
		return *(char *const *)p;
	case OPT_MAC:
		return ((const struct opt_mac *)p)->set;
	case OPT_LIST:
		return ((const struct opt_list *)p)->n;
	case OPT_U32:
	case OPT_TIME:
		return *(const uint32_t *)p;
	case OPT_U64:
	case OPT_SIZE:
		return *(const uint64_t *)p;
	case OPT_BOOL:
	case OPT_ENUM:
	default:
		return true;
	}
}

int opt_check(const struct opt *table, const void *base, struct err *e)
{
	for (const struct opt *o = table; o->name; o++)
		if ((o->flags & OPT_REQUIRED) && !is_set(o, base))
			return err_set(e, -EINVAL, "key '%s' is missing: %s", o->name, o->help);
	return 0;
}

void opt_free(const struct opt *table, void *base)
{
	for (const struct opt *o = table; o->name; o++) {
		void *p = field(o, base);

		if (o->type == OPT_STR || o->type == OPT_PATH) {
			free(*(char **)p);
			*(char **)p = NULL;
		} else if (o->type == OPT_LIST) {
			struct opt_list *list = p;

			for (unsigned i = 0; i < list->n; i++)
				free(list->v[i]);
			free(list->v);
			*list = (struct opt_list){ NULL, 0 };
		}
	}
}

static const char *type_word(const struct opt *o)
{
	switch (o->type) {
	case OPT_BOOL:
		return "BOOL";
	case OPT_U32:
	case OPT_U64:
		return "N";
	case OPT_SIZE:
		return "SIZE";
	case OPT_PATH:
		return "PATH";
	case OPT_ENUM:
		return "WORD";
	case OPT_MAC:
		return "MAC";
	case OPT_LIST:
		return "LIST";
	case OPT_TIME:
		return "TIME";
	case OPT_STR:
	default:
		return "TEXT";
	}
}

void opt_help(const struct opt *table, FILE *f)
{
	for (const struct opt *o = table; o->name; o++) {
		char left[WORD_MAX];

		snprintf(left, sizeof(left), "--%s %s", o->name, type_word(o));
		fprintf(f, "  %-26s %s", left, o->help);
		if (o->type == OPT_ENUM)
			for (int i = 0; o->words[i]; i++)
				fprintf(f, "%s%s", i ? "|" : " [", o->words[i]);
		if (o->type == OPT_ENUM)
			fputs("]", f);
		if (o->type == OPT_U32 && o->words)
			fprintf(f, " [or %s]", o->words[0]);
		if (o->flags & OPT_REQUIRED)
			fputs(" (required)", f);
		else if (o->def)
			fprintf(f, " (default: %s)", o->def);
		fputs("\n", f);
	}
}
