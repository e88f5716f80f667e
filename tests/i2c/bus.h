/* SPDX-License-Identifier: BSD-3-Clause */
/* The I2C adapter device on a thread, and requests to it, for its tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/vhud_server.h"
#include "tap.h"

#define I2C_FAIL_NEXT 1u
#define I2C_M_READ    2u
#define I2C_OK	      0
#define I2C_ERR	      1
#define I2C_NONE      0xff /* what a status byte is before */
#define I2C_GROUP_MAX 64u

struct bus {
	struct vhud_server srv;
	struct vhud *d;
};

/* A segment of a group. */
struct bus_segment {
	uint8_t addr;
	bool read;
	uint8_t *data;
	uint16_t len;
	uint8_t status;
};

/* Up to three keys of the device; NULL from the first that is not needed. */
bool bus_open(struct tap *t, struct bus *b, uint64_t ring, const char *const *keys);
void bus_close(struct bus *b);

/* One request as it is told, however wrong: `out` and `in` are cut into two elements each. Returns
 * the used length, or -errno. */
ssize_t bus_raw(struct bus *b, uint16_t addr, uint32_t flags, const void *out, uint32_t out_len,
	void *in, uint32_t in_len);
/* One write or read of a whole transfer; the status. */
uint8_t bus_write(struct bus *b, uint8_t addr, const void *data, uint16_t len);
uint8_t bus_read(struct bus *b, uint8_t addr, void *data, uint16_t len);
/* A group, sent at once: fills in data and statuses. False if not all were answered in order. */
bool bus_group(struct bus *b, struct bus_segment *s, unsigned n);
/* The same in two steps. `open`: the last one has FAIL_NEXT, too. */
bool bus_send(struct bus *b, const struct bus_segment *s, unsigned n, bool open, void **mem);
bool bus_wait(struct bus *b, struct bus_segment *s, unsigned n, void *mem, int timeout_ms);
/* Writes a register's number of `width` bytes, and reads what is there. */
uint8_t bus_get(
	struct bus *b, uint8_t addr, uint16_t reg, unsigned width, void *data, uint16_t len);
/* The operator's words, separated by blanks; what he is answered, or why not, in `answer`. */
int bus_tell(struct bus *b, const char *words, char answer[512]);
