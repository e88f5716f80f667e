/* SPDX-License-Identifier: BSD-3-Clause */
/* The processes that have a jail, and how they are started to try it. */
#pragma once

#include <stdbool.h>

#define ROW_WORDS_MAX 20u

/* One way to start one kind of process. It runs in a folder with "disk" (1 MiB), "guest" (a program
 * for the monitor), Unix sockets "listens" and, served, "rng". % in a word is that folder. */
struct row {
	const char *kind; /* device type, medium's command, or "monitor" */
	const char *how;  /* which resources it has */
	const char *words[ROW_WORDS_MAX];
	/* Device types whose registration its jail has, NULL at the end; NULL: those of `kind`. */
	const char *const *types;
	/* What its command adds to that, NULL at the end; or NULL. */
	const char *const *calls;
	bool direct;	   /* reads its image past the page cache */
	bool folder;	   /* it still reaches the folder it runs in */
	const char *needs; /* file without which this cannot be tried; or NULL */
};

/* Ends with a row without kind. Each kind has at least one. */
extern const struct row rows[];
