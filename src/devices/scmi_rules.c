/* SPDX-License-Identifier: BSD-3-Clause */
/* Grants: parsing and matching. */
#include "devices/scmi_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct scmi_rule {
	const char *text;  /* the whole */
	char protocol[24]; /* "*": all */
	const char *name;  /* "*": all */
	size_t name_len;
	enum scmi_access access;
	bool used;
};

static int parse_access(struct scmi_rule *r, const char *word, struct err *e)
{
	static const char *const words[] = { "none", "read", "write" };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(word, words[i])) {
			r->access = (enum scmi_access)i;
			return 0;
		}
	return err_set(e, -EINVAL, "grant '%.64s' ends with '%.16s'; possible: none, read, write",
		r->text, word);
}

static int parse_rule(struct scmi_rule *r, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : strlen(text);
	const char *colon = memchr(text, ':', len);
	size_t protocol = colon ? (size_t)(colon - text) : len;

	*r = (struct scmi_rule){
		.text = text, .name = "*", .name_len = 1, .access = SCMI_ACCESS_WRITE
	};
	if (!protocol || protocol >= sizeof(r->protocol))
		return err_set(e, -EINVAL, "'%.64s' is no grant: try clock:NAME", text);
	memcpy(r->protocol, text, protocol);
	if (colon) {
		r->name = colon + 1;
		r->name_len = len - protocol - 1;
	}
	return eq ? parse_access(r, eq + 1, e) : 0;
}

int scmi_rules_parse(struct scmi_rules *r, const struct opt_list *grants, struct err *e)
{
	unsigned n = grants ? grants->n : 1;
	int ret = 0;

	r->n = 0;
	r->rule = calloc(n + 1, sizeof(*r->rule));
	if (!r->rule)
		return err_set(e, -ENOMEM, "out of memory");
	for (; !ret && r->n < n; r->n++)
		ret = parse_rule(&r->rule[r->n], grants ? grants->v[r->n] : "*", e);
	/* Everything may be nothing. */
	if (!grants)
		r->rule[0].used = true;
	return ret;
}

void scmi_rules_free(struct scmi_rules *r)
{
	free(r->rule);
	*r = (struct scmi_rules){ 0 };
}

static bool fits(const struct scmi_rule *r, const char *protocol, const char *name)
{
	if (strcmp(r->protocol, "*") != 0 && strcmp(r->protocol, protocol) != 0)
		return false;
	if (r->name_len == 1 && *r->name == '*')
		return true;
	return strlen(name) == r->name_len && !memcmp(name, r->name, r->name_len);
}

bool scmi_rules_judge(
	struct scmi_rules *r, const char *protocol, const char *name, enum scmi_access *access)
{
	bool seen = false;

	for (unsigned i = 0; i < r->n; i++) {
		if (!fits(&r->rule[i], protocol, name))
			continue;
		*access = r->rule[i].access;
		r->rule[i].used = seen = true;
	}
	return seen;
}

int scmi_rules_end(const struct scmi_rules *r, struct err *e)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!r->rule[i].used)
			return err_set(e, -EINVAL,
				"grant '%.64s' fits nothing that the platform has",
				r->rule[i].text);
	return 0;
}
