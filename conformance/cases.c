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
	cf_cases_blk_config,
	cf_cases_blk_rw,
	cf_cases_blk_requests,
	cf_cases_blk_range,
	cf_cases_blk_hostile,
	cf_cases_blk_load,
	cf_cases_rng,
	cf_cases_console,
	cf_cases_console_ports,
	NULL,
};
