/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command line asks for. See words.h. */
#include "conformance/guest/words.h"

#include "guests/bare/bare.h"

#define KEY_MAX	  64
#define VALUE_MAX 32

const char *words_class(uint16_t id)
{
	static const struct {
		uint16_t id;
		const char *name;
	} classes[] = {
		{ 0, "platform" }, /* the machine itself */
		{ 1, "net" },
		{ 2, "blk" },
		{ 3, "console" },
		{ 4, "rng" },
		{ 17, "rtc" },
		{ 18, "input" },
		{ 19, "vsock" },
		{ 34, "i2c" },
		{ 32, "scmi" },
		{ 36, "can" },
		{ 41, "gpio" },
		{ 45, "spi" },
	};

	for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].id == id)
			return classes[i].name;
	return NULL;
}

/* One pattern, which ends at a comma or at the end of the text. The last '*' is where the search
 * goes on when something does not fit: no pattern takes more than length times length steps. */
static bool match_one(const char *p, const char *name)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		if (*p == '*') {
			star = p++;
			from = name;
		} else if (*p == *name || *p == '?') {
			p++;
			name++;
		} else if (star) {
			p = star + 1;
			name = ++from;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return !*p || *p == ',';
}

static const char *next_of(const char *list)
{
	while (*list && *list != ',')
		list++;
	return *list ? list + 1 : list;
}

bool words_match(const char *patterns, const char *name)
{
	for (const char *p = patterns; *p; p = next_of(p))
		if (match_one(p, name))
			return true;
	return false;
}

bool words_listed(const char *list, const char *name)
{
	for (const char *p = list; *p; p = next_of(p)) {
		size_t n = 0;

		while (name[n] && p[n] == name[n])
			n++;
		if (!name[n] && (!p[n] || p[n] == ','))
			return true;
	}
	return false;
}

uint64_t words_number(const char *line, const char *key, uint64_t missing)
{
	char value[VALUE_MAX];
	uint64_t v;

	if (bare_word(line, key, value, sizeof(value)) < 0 || !cf_number(value, &v))
		return missing;
	return v;
}

bool words_fact(
	const char *line, uint16_t id, unsigned n, const char *key, char *value, size_t size)
{
	const char *class = words_class(id);
	char word[KEY_MAX];

	if (!class)
		return false;
	cf_format(word, sizeof(word), "%s%u.%s", class, n, key);
	if (bare_word(line, word, value, size) >= 0)
		return true;
	cf_format(word, sizeof(word), "%s.%s", class, key);
	return bare_word(line, word, value, size) >= 0;
}
