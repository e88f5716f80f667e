/* SPDX-License-Identifier: BSD-3-Clause */
/* Between config.c (from tree to structures) and config_check.c (what must hold across them). */
#pragma once

#include "system/config.h"
#include "system/yaml_tree.h"

/* One reading of a file. */
struct conf_reader {
	struct conf *conf;
	struct conf_errors *errors;
};

/* Adds "FILE:LINE:COLUMN: message". */
void conf_error(struct conf_reader *r, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Names, addresses, images and switches must fit together. */
void conf_check(struct conf_reader *r);
