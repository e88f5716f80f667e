/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Value change dumps (IEEE 1364, 18.2), the traces that GTKWave and other viewers show: one-bit
 * variables over time, in nanoseconds. First the variables, then vcd_begin(), then changes. One
 * thread.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct vcd;

/* Creates or replaces the file `path`, which gets at most `limit` bytes. `scope` names the group of
 * the variables. */
int vcd_open(struct vcd **v, const char *path, const char *scope, uint64_t limit, struct err *e);
/* Writes out and frees; accepts NULL. */
void vcd_close(struct vcd *v);

/* Adds a variable. Blanks and other characters that the format does not allow in names become '_'.
 * Returns its number, from 0 on. */
unsigned vcd_variable(struct vcd *v, const char *name);
/* Ends the header: the time 0 of the trace is `now_ns` of any clock that only goes forward. */
void vcd_begin(struct vcd *v, uint64_t now_ns);
/* Variable `var` has the value '0', '1', 'x' (unknown) or 'z' (nobody drives it) since `now_ns`. */
void vcd_change(struct vcd *v, unsigned var, char value, uint64_t now_ns);
/* Writes out what is buffered. Returns 0, -EFBIG if the limit was reached and changes were left
 * out, or what write() said, once; the trace ends then. */
int vcd_flush(struct vcd *v);
