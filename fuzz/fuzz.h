/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fuzz targets share. A target is a program with libFuzzer's entry point; replay.c is a main()
 * for builds without libFuzzer, which runs files through the same entry point.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

/* libFuzzer's interface: one input; returns 0. Everything it opens or allocates it closes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* [opt] Changes `data` in place; returns the new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* What is left of an input. Reads beyond the end give zeroes. */
struct fuzz_in {
	const uint8_t *p;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in); /* little-endian, as the following */
uint32_t fuzz_u32(struct fuzz_in *in);
uint64_t fuzz_u64(struct fuzz_in *in);
/* The rest as a string without zero bytes, to be freed; NULL if there is no memory. */
char *fuzz_text(struct fuzz_in *in);

/* A log that writes nothing. */
const struct log *fuzz_log(void);

/* An empty folder of this process for sockets and files, removed at exit. */
const char *fuzz_folder(void);
/* NAME in that folder, to be freed. */
char *fuzz_path(const char *name);
/* Makes NAME there a file with these bytes. Returns 0 or -errno. */
int fuzz_file(const char *name, const void *data, size_t len);

/*
 * A clock that hardly moves but for fuzz_clock_advance(), in place of the computer's, so that an
 * input does the same each time: all of clock_gettime() between start and stop. It starts at the
 * same time of 2025 for every input.
 */
void fuzz_clock_start(void);
void fuzz_clock_advance(uint64_t ns);
void fuzz_clock_stop(void);

/* Ends the process as a finding: what the code under test did is wrong. */
void fuzz_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
