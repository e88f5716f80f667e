/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking things up in the catalogue: entries by ID, and the cases that claim one. */
#include "conformance/host/spec.h"

#include <string.h>

#include "base/util.h"
#include "conformance/cf.h"

const struct spec_entry *spec_find(const char *id)
{
	for (unsigned i = 0; i < spec_count; i++)
		if (!strcmp(spec_entries[i].id, id))
			return &spec_entries[i];
	return NULL;
}

const char *spec_word(const char **words, char *word, size_t size)
{
	const char *start = *words + strspn(*words, " ");
	size_t len = strcspn(start, " ");

	*words = start + len;
	if (!len)
		return NULL;
	len = min_u64(len, size - 1);
	memcpy(word, start, len);
	word[len] = '\0';
	return word;
}

bool spec_claimed_by(const struct cf_case *c, const char *id)
{
	const char *words = c->proves;
	char word[SPEC_ID_MAX];

	while (words && spec_word(&words, word, sizeof(word)))
		if (!strcmp(word, id))
			return true;
	return false;
}

const struct cf_case *spec_next_case(struct spec_cases *it)
{
	const struct cf_case *table = cf_case_tables[it->table];

	while (table && !table[it->row].name) {
		table = cf_case_tables[++it->table];
		it->row = 0;
	}
	return table ? &table[it->row++] : NULL;
}

const struct cf_case *spec_next_claim(struct spec_cases *it, const char *id)
{
	const struct cf_case *c = spec_next_case(it);

	while (c && !spec_claimed_by(c, id))
		c = spec_next_case(it);
	return c;
}

enum spec_state spec_state(const struct spec_entry *e)
{
	if (spec_next_claim(&(struct spec_cases){ 0 }, e->id))
		return SPEC_CASE;
	if (*e->tests)
		return SPEC_TEST;
	return *e->why ? SPEC_WHY : SPEC_OPEN;
}
