/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of the test guest: words of the form KEY=VALUE.
 *
 *     types=blk,net    classes of devices to judge; all without it
 *     only=vq.*,pci.*  cases to run, by name; '*' and '?' stand for anything
 *     skip=vq.split.*  cases to leave out
 *     hostile=1        only cases that break rules on purpose
 *     limit=2000       milliseconds that a device may take for an answer
 *     intx=1           interrupts of pci devices by line, not by MSI-X
 *     from=17          leaves out as many cases, which have run before
 *     role=neighbour   does something else (role.h)
 *
 * Everything else is a fact about the devices of a class, or about one of them: blk.capacity=2048,
 * blk1.read-only=1. `console.echo=1` says that the host sends back what consoles get.
 */
#pragma once

#include "conformance/cf.h"

/* The name of a class of devices, as on avp's command line; NULL if it is not known. */
const char *words_class(uint16_t id);
/* True if `name` matches one of the patterns, which commas separate. */
bool words_match(const char *patterns, const char *name);
/* True if `name` is in a list that commas separate. */
bool words_listed(const char *list, const char *name);
/* A number in the value of a word; `missing` without it. */
uint64_t words_number(const char *line, const char *key, uint64_t missing);
/* The fact `key` of the n-th device of a class, into `value`; false if nothing was said. */
bool words_fact(
	const char *line, uint16_t id, unsigned n, const char *key, char *value, size_t size);
