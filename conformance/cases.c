/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of all cases, in the order in which they run. */
#include "conformance/cases/cases.h"

const struct cf_case *const cf_case_tables[] = {
	cf_cases_probe,
	NULL,
};
