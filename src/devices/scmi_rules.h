/* SPDX-License-Identifier: BSD-3-Clause */
/* Grants of an agent, as in "clock:uart=read". */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/opt.h"

/* What an agent may do with a resource. */
enum scmi_access { SCMI_ACCESS_NONE, SCMI_ACCESS_READ, SCMI_ACCESS_WRITE };

struct scmi_rule;

/* A list of grants. Private fields. */
struct scmi_rules {
	struct scmi_rule *rule;
	unsigned n;
};

/* `grants` outlives the rules; NULL: everything is granted. -EINVAL with a reason; to be freed in
 * any case. */
int scmi_rules_parse(struct scmi_rules *r, const struct opt_list *grants, struct err *e);
void scmi_rules_free(struct scmi_rules *r);
/* What they say of a resource, e.g. "clock", "uart"; the last one that fits counts. False: no rule
 * fits, the agent does not see it. */
bool scmi_rules_judge(
	struct scmi_rules *r, const char *protocol, const char *name, enum scmi_access *access);
/* -EINVAL, naming the first rule that never fitted. */
int scmi_rules_end(const struct scmi_rules *r, struct err *e);
