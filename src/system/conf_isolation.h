/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of isolation that the supervisor needs (docs/isolation.md); the monitor's are rows of
 * vm_opts. */
#pragma once

#include "base/opt.h"
#include "system/cgroup.h"
#include "system/resctrl.h"

struct conf_reader;
struct yaml_node;

extern const struct opt conf_cgroup_opts[];    /* of struct cgroup_limits */
extern const struct opt conf_resctrl_opts[];   /* of struct resctrl_limits */
extern const struct opt conf_isolation_opts[]; /* of an int: enum vm_isolation */

/* What the tables cannot say; for struct conf_section. */
void conf_cgroup_check(struct conf_reader *r, const struct yaml_node *node, void *section);
void conf_resctrl_check(struct conf_reader *r, const struct yaml_node *node, void *section);
