/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of all cases, in the order in which they run. */
#include "conformance/cases/cases.h"

const struct cf_case *const cf_case_tables[] = {
	cf_cases_probe,
	cf_cases_net_config,
	cf_cases_net_frames,
	cf_cases_net_offload,
	cf_cases_net_ctrl,
	cf_cases_net_filter,
	cf_cases_net_queues,
	cf_cases_net_hostile,
	NULL,
};
