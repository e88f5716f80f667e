/* SPDX-License-Identifier: BSD-3-Clause */
/* `avp run`: starts the processes of a system, watches them, and ends when its guests have ended.
 */
#pragma once

#include "system/config.h"

/*
 * Runs the system to its end in the run-time folder `run_dir`, which the caller has created.
 * Reports to standard output, the processes' logs go to standard error. Returns the exit status: 0
 * if all guests powered off cleanly, 2 if a process found its configuration wrong or the
 * host cannot isolate as it must, else 1.
 */
int supervisor_run(const struct conf *conf, const char *run_dir, struct err *e);
