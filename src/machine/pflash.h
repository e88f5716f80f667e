/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bank of NOR flash: two x16 chips with Intel's command set (CFI primary command set 0x0001) side
 * by side on a 32-bit bus, 64 MiB in blocks of 256 KiB. Firmware is read from one, and keeps its
 * variables in another.
 */
#pragma once

#include <pthread.h>

#include "transport/vmm.h"

#define PFLASH_BANK   (64u << 20)
#define PFLASH_BLOCK  (256u << 10)
#define PFLASH_BLOCKS (PFLASH_BANK / PFLASH_BLOCK)
#define PFLASH_BUFFER 2048u /* bytes that one buffered program takes, of both chips */

/* What a read shows. */
enum pflash_view { PFLASH_ARRAY, PFLASH_STATUS, PFLASH_ID, PFLASH_CFI };

/* What the next write means. */
enum pflash_expect {
	PFLASH_COMMAND,
	PFLASH_WORD,		/* a word to be programmed */
	PFLASH_PROTECTION_WORD, /* likewise, of the protection registers that there are not */
	PFLASH_COUNT,		/* words to come into the buffer, less one */
	PFLASH_DATA,
	PFLASH_CONFIRM,
	PFLASH_ERASE,
	PFLASH_LOCK,
};

/* Private fields. `lock` guards all below it. */
struct pflash {
	struct vmm *vmm;
	const char *name;
	struct bus_range range;
	uint64_t addr;
	uint8_t *mem;	   /* PFLASH_BANK bytes; pages that were never written cost nothing */
	int fd;		   /* not owned; -1: nothing can be written */
	uint64_t file_len; /* bytes of the bank that are in the file */

	pthread_mutex_t lock;
	bool direct; /* the guest reads `mem` without us */
	enum pflash_view view;
	enum pflash_expect expect;
	uint8_t status;
	bool locked[PFLASH_BLOCKS];
	uint32_t window; /* offset of the part of the bank that the buffer is for */
	bool window_set;
	unsigned left; /* words that are to come into the buffer */
	uint8_t buffer[PFLASH_BUFFER];
	struct log_limit limit;
};

/*
 * Puts a bank on vmm->mmio at `addr` with the contents of file `fd`, which stays the caller's; -1
 * is an empty bank. What lies behind the file's end reads as zeros, as in an image that was padded,
 * and cannot be written. If `writable`, what the guest writes is in the file, and on its disk,
 * before the guest is told so; the file then has whole blocks. On vmm->loop's thread or before it
 * runs. `name` is for messages, not copied.
 */
int pflash_init(struct pflash *f, struct vmm *vmm, uint64_t addr, const char *name, int fd,
	bool writable, struct err *e);
/* After the guest has ended. Accepts a zeroed structure. */
void pflash_finish(struct pflash *f);
