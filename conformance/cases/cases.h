/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of cases, one for each file here; each ends with a NULL name. */
#pragma once

#include "conformance/cf.h"

extern const struct cf_case cf_cases_probe[];
