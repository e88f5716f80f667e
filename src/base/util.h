/* SPDX-License-Identifier: BSD-3-Clause */
/* Small helpers without a better home: cleanup attributes, container_of, bounds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CACHE_LINE   64u /* bytes, of all processors that avp runs on; only speed depends on it */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* `align` is a power of two. */
static inline uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* True if [start, start+len) lies inside [0, size); never overflows. */
static inline bool range_in(uint64_t start, uint64_t len, uint64_t size)
{
	return start <= size && len <= size - start;
}

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Variables that clean up when they leave scope. An autoclose fd starts as -1 or valid. */
#define autofree   __attribute__((unused, cleanup(cleanup_freep)))
#define autoclose  __attribute__((unused, cleanup(cleanup_closep)))
#define autofclose __attribute__((unused, cleanup(cleanup_fclosep)))

/* Takes the value out of an autoclose variable, which then closes nothing. */
static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Likewise for an autofree pointer. */
#define steal_ptr(pp)                                                                              \
	__extension__({                                                                            \
		__typeof__(*(pp)) _v = *(pp);                                                      \
		*(pp) = NULL;                                                                      \
		_v;                                                                                \
	})

/* Closes *fd if it is open and sets it to -1. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * Asks for memory that is read soon, so that it comes while other work is done. The empty
 * instruction is for gcc: it takes a function that does nothing but this for one without effect,
 * and drops its calls.
 */
static inline void fetch_to_read(const void *p, size_t len)
{
	const uintptr_t end = (uintptr_t)p + len;

	for (uintptr_t at = (uintptr_t)p & ~(uintptr_t)(CACHE_LINE - 1); at < end; at += CACHE_LINE)
		__builtin_prefetch((const void *)at);
	__asm__ volatile("");
}

/* gcc's own way would read a line only, unless told that the processor knows the instruction: all
 * that can run avp do, or take it for none. */
static inline void fetch_line_to_write(uintptr_t at)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw (%0)" : : "r"(at));
#else
	__builtin_prefetch((const void *)at, 1);
	__asm__ volatile("");
#endif
}

/* The same for memory that is written soon, which takes it away from other processors. */
static inline void fetch_to_write(void *p, size_t len)
{
	const uintptr_t end = (uintptr_t)p + len;

	for (uintptr_t at = (uintptr_t)p & ~(uintptr_t)(CACHE_LINE - 1); at < end; at += CACHE_LINE)
		fetch_line_to_write(at);
}

/* For loops that wait for memory to change: leaves the core's other thread more of it. */
static inline void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield");
#endif
}
