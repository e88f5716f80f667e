/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of device types: an input is a program of what guests and the host do to one device, or
 * to two devices on one medium. program.c runs it, guest.c is the guests' side and a transport as
 * simple as can be, and a file per device type says how to set it up and what its host side does.
 *
 *     byte 0         which setup, modulo their number; bit 7: on a loop that polls
 *     then actions   code (bit 7: of the second guest), length, as many bytes of operands
 *
 * Operands that are missing are zero and a code is taken modulo the number of them, so that every
 * input is a program.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"
#include "base/mem.h"
#include "fuzz.h"
#include "virtio/device.h"

enum fuzz_action {
	FUZZ_BOOT,    /* mask u64, log2 of the queues' size u8: all that a driver does up to
			   DRIVER_OK; features in the mask are not accepted */
	FUZZ_REQUEST, /* queue u8, shape u8, buffers to write u8, their lengths u16, payload */
	FUZZ_CHAIN,   /* queue u8, shape u8, descriptors: where u32, len u16, flags u8, next u8 */
	FUZZ_FILL,    /* queue u8, number u8, length u16: buffers to write, one a chain */
	FUZZ_KICK,    /* queue u8 */
	FUZZ_RUN,     /* rounds of the loop u8 */
	FUZZ_TIME,    /* milliseconds u32 pass */
	FUZZ_HOST,    /* the device's own: what happens on the host */
	FUZZ_TELL,    /* words of the operator */
	FUZZ_CONFIG_READ,  /* offset u16, length u8 */
	FUZZ_CONFIG_WRITE, /* offset u16, bytes */
	FUZZ_STOP,	   /* queue u8 */
	FUZZ_RESUME,	   /* queue u8: where it stopped */
	FUZZ_ENABLE,	   /* queue u8, on u8: a ring that is stopped for a moment (vhost-user) */
	FUZZ_RESET,	   /* of the device */
	FUZZ_UNMAP,	   /* region u8: memory goes away, as with SET_MEM_TABLE */
	FUZZ_MAP,	   /* region u8 */
	FUZZ_POKE,	   /* where u32, bytes: writes into guest memory, rings included */
	FUZZ_AVAIL, /* queue u8, value u16: raw available index, or flags of a packed descriptor */
	FUZZ_FEATURES, /* u64: negotiates exactly these */
	FUZZ_STATUS,   /* u8 */
	FUZZ_QUEUE,    /* queue u8, log2 of the size u8: at its usual place */
	FUZZ_QUEUE_AT, /* queue u8, size u16, three addresses u32, positions u16 u16 */
	FUZZ_INFLIGHT, /* on u8: queues that start have an in-flight record */
	FUZZ_CRASH,    /* queue u8: its process dies at an earlier moment, the next one goes on */
	FUZZ_ACTIONS
};

/* FUZZ_REQUEST and FUZZ_CHAIN. */
#define FUZZ_SHAPE_SPLIT    7u /* how the payload is cut into buffers */
#define FUZZ_SHAPE_INDIRECT 8u
#define FUZZ_SHAPE_NO_KICK  16u
#define FUZZ_SHAPE_BORDER   32u /* the buffer lies across two regions of memory */

#define FUZZ_GUESTS  2u
#define FUZZ_REGIONS 3u
/* Entries of a queue at its usual place. */
#define FUZZ_RING_MAX 64u

/* A queue as the guest sees it; addresses are guest-physical. */
struct fuzz_ring {
	uint16_t size; /* 0: not set up */
	bool packed, in_order;
	bool wild; /* the guest broke rules: nothing can be said about what comes back */
	uint64_t desc, driver, device;
	uint16_t next, avail, used;
	bool wrap, used_wrap;
	uint16_t avail_base, used_base; /* where it stopped */
	void *inflight;
	/* By head (split) or buffer id (packed): descriptors of the chain, 0: not with the device;
	 * and bytes that the device may write. */
	uint16_t ndesc[FUZZ_RING_MAX];
	uint64_t room[FUZZ_RING_MAX];
	uint16_t nbusy;		     /* descriptors with the device */
	int8_t owner[FUZZ_RING_MAX]; /* chain that a descriptor is part of, -1: none */
};

struct fuzz_bed;

struct fuzz_guest {
	struct fuzz_bed *bed;
	struct vdev *dev;
	struct vdev_host host;
	struct gm gm;
	uint8_t *mem[FUZZ_REGIONS]; /* inaccessible while not in gm */
	int call_fd;		    /* takes all interrupts */
	struct fuzz_ring rings[VDEV_QUEUES_MAX];
	uint32_t next_buffer;
	bool inflight;
};

/* A device type under test. */
struct fuzz_device {
	const struct vdev_class *cls;
	unsigned guests; /* 1..FUZZ_GUESTS */
	/* Sets of keys, each key, value, ..., NULL; the list ends with NULL. "@name" in a value is
	 * that name in fuzz_folder(). */
	const char *const *const *setups;
	/* [opt] Once per process: files that setups name. */
	int (*prepare)(void);
	/* [opt] Before the devices: what they are attached to, into bed->state. */
	int (*open)(struct fuzz_bed *b);
	/* [opt] Between vdev_new() with its keys and vdev_init(). */
	int (*attach)(struct fuzz_bed *b, unsigned guest);
	/* [opt] All devices are there. */
	int (*complete)(struct fuzz_bed *b);
	/* [opt] FUZZ_TELL whose first word is "medium": the others. */
	int (*command)(struct fuzz_bed *b, unsigned argc, char **argv, FILE *answer, struct err *e);
	/* [opt] FUZZ_HOST of that guest. */
	void (*host)(struct fuzz_bed *b, unsigned guest, struct fuzz_in *in);
	/* [opt] Time passed, and the loop runs for a round. */
	void (*tick)(struct fuzz_bed *b);
	/* [opt] The devices are gone; also after a failed open. */
	void (*close)(struct fuzz_bed *b);
};

/* The one of this program. */
extern const struct fuzz_device fuzz_device;

/* All that one input runs on. */
struct fuzz_bed {
	struct ev_loop *loop;
	struct fuzz_guest guests[FUZZ_GUESTS];
	unsigned setup;
	void *state; /* the device file's own, NULL at first */
};

/* host.c: programs of the host, for devices with sockets. */

#define FUZZ_CLIENTS 4u

struct fuzz_clients {
	int fd[FUZZ_CLIENTS]; /* -1: none */
	int listener;
	char *listens; /* where */
};

void fuzz_clients_init(struct fuzz_clients *c);
/* Of FUZZ_HOST, what u8, client u8, bytes: a client connects (0, a stream; 1, messages) to the
 * socket `path` in the folder, writes the bytes (2), reads (3), says that it writes no more (4),
 * leaves (5), or is one that connected to the listener (6). */
void fuzz_clients_act(struct fuzz_clients *c, const char *path, struct fuzz_in *in);
/* Listens at `path` for the device to connect to. 0 or -errno. */
int fuzz_clients_listen(struct fuzz_clients *c, const char *path);
void fuzz_clients_close(struct fuzz_clients *c);

/* guest.c */

/* Memory, once per process; then per input. True if all went well. */
bool fuzz_guest_memory(struct fuzz_guest *g);
void fuzz_guest_init(struct fuzz_guest *g, struct fuzz_bed *bed);
void fuzz_guest_finish(struct fuzz_guest *g);

/* A guest address from 32 bits: mostly one in guest memory. */
uint64_t fuzz_address(uint32_t word);
/* Writes what of it is in guest memory. */
void fuzz_poke(struct fuzz_guest *g, uint64_t gpa, const void *data, size_t len);

void fuzz_queue_start(struct fuzz_guest *g, unsigned q, uint16_t size);
void fuzz_queue_start_at(struct fuzz_guest *g, unsigned q, struct fuzz_in *in);
void fuzz_queue_stop(struct fuzz_guest *g, unsigned q);
void fuzz_queue_resume(struct fuzz_guest *g, unsigned q);
/* The device stops and starts as if what it did to memory while it stopped had not happened. */
void fuzz_queue_crash(struct fuzz_guest *g, unsigned q);
void fuzz_unmap(struct fuzz_guest *g, unsigned region);
void fuzz_map(struct fuzz_guest *g, unsigned region);
/* The rings are no more, as after a reset. */
void fuzz_rings_forget(struct fuzz_guest *g);

/* Places a chain and makes it available; no kick. False: there is no room, or no such queue. */
bool fuzz_request(struct fuzz_guest *g, unsigned q, unsigned shape, struct fuzz_in *in);
bool fuzz_chain(struct fuzz_guest *g, unsigned q, unsigned shape, struct fuzz_in *in);
bool fuzz_fill(struct fuzz_guest *g, unsigned q, uint16_t len);
void fuzz_avail(struct fuzz_guest *g, unsigned q, uint16_t value);
/* Takes what came back; a finding if the device gave back what it did not have, or wrote more
 * than there was room. */
void fuzz_collect(struct fuzz_guest *g);
