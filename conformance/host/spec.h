/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The catalogue of requirements, compiled in from spec/ (see spec/README.md). Constant data, so any
 * thread may read it.
 */
#ifndef AVP_CONFORMANCE_SPEC_H
#define AVP_CONFORMANCE_SPEC_H

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

#endif
