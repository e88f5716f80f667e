/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of `avp conform`, and what they share. */
#pragma once

#include "base/opt.h"
#include "conformance/cf.h"
#include "conformance/host/report.h"

/* The counter of this computer's processors, as `avp device rtc` calls it. */
#if defined(__x86_64__)
#define CONFORM_COUNTER "x86-tsc"
#else
#define CONFORM_COUNTER "arm-vct"
#endif

/* `avp conform`: argv[1] is one of the commands below, argv[0] of each is its name. They return
 * exit statuses: 0 if nothing failed, 1 if something did, 2 for wrong usage. */
int conform_cmd(int argc, char **argv);
int conform_vhost_user(int argc, char **argv);
int conform_self(int argc, char **argv);
int conform_diff(int argc, char **argv);
int conform_guest(int argc, char **argv);
int conform_image(int argc, char **argv);

/* Which cases to run, by patterns like "vq.*" (fnmatch). A case runs if one of `only` fits, or
 * there is none, and none of `skip` does. */
struct conform_choice {
	struct opt_list only, skip;
};

bool conform_wanted(const struct conform_choice *choice, const struct cf_case *c);
/* -EINVAL if a pattern of `only` fits no case at all: a typing mistake must not look like success.
 */
int conform_check(const struct conform_choice *choice, struct err *e);
/* Prints the cases of device ID `device` (0: all), one per line, with what they claim. */
void conform_list(const struct conform_choice *choice, uint16_t device);
/* What follows the first "--" of argv, which ends there; NULL if there is none. */
char **conform_command(int *argc, char **argv);
