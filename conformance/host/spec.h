/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The catalogue of requirements, compiled in from spec/ (see spec/README.md), and which cases claim
 * its entries. Constant data, so any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cf_case;

/* Bytes of the longest ID, with its end. */
#define SPEC_ID_MAX 48

/* One requirement or one statement of a clause. No string is NULL; what is absent is "". */
struct spec_entry {
	const char *id;	      /* "BLK-2", "ROB-1", or "V<clause>-<n>" of VIRTIO 1.4: "V2.1.2-1" */
	const char *area;     /* the file in spec/ it stands in, without "virtio-": "blk", "avps" */
	const char *strength; /* "M", "C", "S", "O", "W" or "-": mandatory, conditional, should,
				 optional, wish, no requirement */
	const char *binds;    /* "device", "driver" or "platform" */
	const char *source;   /* "VIRTIO 1.4, 2.1.2 Device Status Field", "draft", "ours", ... */
	const char *text;     /* the statement, in our words */
	const char *why;      /* why nothing judges it, if so */
	const char *tests;    /* names of meson tests that prove it, separated by a space */
};

/* All entries in the order of the files: VIRTIO by chapters, then AVPS, then our own. */
extern const struct spec_entry spec_entries[];
extern const unsigned spec_count;

/* The entry of this ID; NULL if there is none. */
const struct spec_entry *spec_find(const char *id);

/* What speaks for an entry; the first that holds. */
enum spec_state {
	SPEC_CASE, /* a case claims it */
	SPEC_TEST, /* a test of the project proves it */
	SPEC_WHY,  /* nothing does, and the catalogue says why */
	SPEC_OPEN,
};
enum spec_state spec_state(const struct spec_entry *e);

/* A walk over all cases; starts zeroed. */
struct spec_cases {
	unsigned table, row;
};
/* The next case; NULL after the last, and then no more calls. */
const struct cf_case *spec_next_case(struct spec_cases *it);
/* The next case that claims this ID. */
const struct cf_case *spec_next_claim(struct spec_cases *it, const char *id);
/* True if the case claims it. */
bool spec_claimed_by(const struct cf_case *c, const char *id);

/* Takes the next word of a list such as cf_case.proves and moves *words on; one of `size` bytes
 * or more is cut. NULL at the end. */
const char *spec_word(const char **words, char *word, size_t size);

/* The command: avp spec. Returns an exit status. */
int spec_cmd(int argc, char **argv);
