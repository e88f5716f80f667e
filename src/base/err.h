/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors that explain: a code and one line of text, filled in where the fault is known best. */
#pragma once

#include <stdarg.h>

#define ERR_MSG_MAX 512

/*
 * An error on its way up. The caller owns it, zero-initialised; the callee that fails fills it
 * once. `code` is 0 or -errno. A NULL `struct err *` is allowed everywhere and drops the text.
 */
struct err {
	int code;
	char msg[ERR_MSG_MAX];
};

/* Records `code` (-errno) and the message; returns `code`, so `return err_set(e, -EINVAL, ...)`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": strerror(-code)" appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the message that is already there; returns e's code; -EIO without e. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
