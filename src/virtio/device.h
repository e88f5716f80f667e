/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device model: what every virtio device is to its transport, and the table by which a device
 * type registers (docs/architecture.md, rule 3). A device lives on one event loop; all its
 * callbacks and all vdev_*() calls happen on that loop's thread. Nothing here says which transport
 * is in use.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "virtio/queue.h"

#define VDEV_QUEUES_MAX 64u

/* Device status (VIRTIO 1.4, 2.1). */
#define VIRTIO_S_ACKNOWLEDGE 1u
#define VIRTIO_S_DRIVER	     2u
#define VIRTIO_S_DRIVER_OK   4u
#define VIRTIO_S_FEATURES_OK 8u
#define VIRTIO_S_NEEDS_RESET 64u
#define VIRTIO_S_FAILED	     128u
/* What a driver can set. All else is ignored: NEEDS_RESET is the device's, SUSPEND (16) belongs to
 * a feature that is not offered (3.4.2), and 32 is reserved. */
#define VIRTIO_S_DRIVERS                                                                           \
	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK | VIRTIO_S_FEATURES_OK |      \
		VIRTIO_S_FAILED)

/* Feature bit numbers of the core (VIRTIO 1.4, 6). */
#define VIRTIO_F_INDIRECT_DESC	 28
#define VIRTIO_F_EVENT_IDX	 29
#define VIRTIO_F_VERSION_1	 32
#define VIRTIO_F_ACCESS_PLATFORM 33
#define VIRTIO_F_RING_PACKED	 34
#define VIRTIO_F_IN_ORDER	 35
#define VIRTIO_F_ORDER_PLATFORM	 36
#define VIRTIO_F_RING_RESET	 40

#define FEATURE(bit) (UINT64_C(1) << (bit))

struct vdev;

/* A counter of a device: a uint64_t at `offset` in its structure. Ends with a NULL name. */
struct vdev_metric {
	const char *name;
	size_t offset;
	const char *help;
};

/* What a device process may do once it serves a guest, beyond the common minimum. */
struct vdev_sandbox {
	const char *const *syscalls; /* further system calls by name, ends with NULL; may be NULL */
	const unsigned long *ioctls; /* request numbers for "ioctl", ends with 0; may be NULL */
	uint8_t ioctl_type;	     /* all requests of this type byte as well; 0: none */
	/* Names of OPT_PATH keys whose folders the process must still reach; ends with NULL. */
	const char *const *paths;
};

/*
 * The registration of a device type. Constant data. Callbacks marked [opt] may be NULL.
 *
 * A device embeds `struct vdev` as its first member; `size` is the whole structure, zeroed at
 * creation, then filled with the keys' values by `opts`.
 */
struct vdev_class {
	const char *name;    /* "blk": the name in the system file and of `avp device` */
	uint16_t id;	     /* VIRTIO 1.4, 5: device ID */
	uint32_t pci_class;  /* PCI class code, 24 bits */
	const char *summary; /* one line */
	size_t size;
	const struct opt *opts;
	const struct vdev_metric *metrics;
	const struct vdev_sandbox *sandbox;

	/* Opens host resources and sets dev->features, nqueues, queue_size_max and config_len. Runs
	 * before the jail closes. On failure nothing is left open. */
	int (*init)(struct vdev *dev, struct err *e);
	/* Releases everything init acquired. The device was reset before. */
	void (*finish)(struct vdev *dev);
	/* [opt] The driver accepted dev->negotiated; a refusal (-EINVAL) clears FEATURES_OK. */
	int (*features_ok)(struct vdev *dev);
	/* [opt] DRIVER_OK was set / the device is reset, after all its queues have stopped. */
	void (*start)(struct vdev *dev);
	void (*reset)(struct vdev *dev);
	/* [opt] Queue q has started (its kick follows). */
	void (*queue_started)(struct vdev *dev, unsigned q);
	/* [opt] Queue q is about to stop: finish or let go of all its chains before returning,
	 * since guest memory may vanish. Those not pushed are handed out again after a restart if
	 * there is an in-flight record. */
	void (*queue_stop)(struct vdev *dev, unsigned q);
	/* The driver made buffers available on queue q (or may have). */
	void (*kick)(struct vdev *dev, unsigned q);
	/* [opt] Configuration space: offset and length are inside config_len. Reads of devices
	 * without it give zeroes, writes are ignored. */
	void (*config_read)(struct vdev *dev, uint32_t offset, void *buf, uint32_t len);
	void (*config_write)(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len);
	/* [opt] Words of the operator (`avp tell`), at least one; lines for him go to `answer`.
	 * -EINVAL with a reason that says what would be right. */
	int (*command)(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e);
};

/* What a device needs to know of the one who runs it. Outlives the device. */
struct vdev_host {
	/* The configuration space changed; the driver is to be told. */
	void (*config_changed)(struct vdev_host *host);
	/* dev->status has DEVICE_NEEDS_RESET now. */
	void (*needs_reset)(struct vdev_host *host);
};

/* Who records what happens to a device besides what its guest asks for: the process it lives in.
 * Called on the device's thread. Outlives the device. */
struct vdev_watcher {
	void (*event)(struct vdev_watcher *w, const struct vdev *dev, const char *event,
		const char *detail);
};

/* A device. Devices read everything and write only the group that says so. */
struct vdev {
	const struct vdev_class *cls;
	struct ev_loop *loop;
	const struct log *log;
	struct vdev_host *host;
	struct vdev_watcher *watcher; /* NULL: nobody */

	/* Set by init, fixed from then on. */
	uint64_t features;	 /* device-specific bits only; the core adds its own */
	uint16_t nqueues;	 /* 1..VDEV_QUEUES_MAX */
	uint16_t queue_size_max; /* a power of two; 0 means 256 */
	uint32_t config_len;	 /* bytes of configuration space */

	uint64_t negotiated; /* what the driver accepted, after FEATURES_OK */
	uint8_t status;
	uint32_t generation; /* of the configuration space (VIRTIO 1.4, 2.5) */
	struct vq *queues[VDEV_QUEUES_MAX];
	uint64_t masked; /* feature bits not to be offered, by configuration */

	/* The core's own. */
	bool ready;		/* init succeeded */
	struct ev_poll poll;	/* while queues run on a loop that polls: */
	uint64_t polled_queues; /* a bit each */
	struct log_limit complaints;
};

/*
 * The key `poll` of all that serve devices, a row of their tables: for how many microseconds after
 * the last request the loop looks for the next one without sleeping, into a uint32_t.
 */
#define VDEV_POLL_OPT(at)                                                                          \
	{                                                                                          \
		.name = "poll", .type = OPT_U32, .offset = (at), .def = "0", .max = 1000000,       \
		.words = vdev_poll_words,                                                          \
		.help = "microseconds after a request in which the next one is looked for "        \
			"without sleeping; takes a core to itself",                                \
	}
extern const char *const vdev_poll_words[];
/* Has a loop poll as the key says. Before any device is made on it. */
void vdev_set_poll(struct ev_loop *loop, uint32_t poll);

/* All device types, ends with NULL (src/devices/registry.c). */
extern const struct vdev_class *const vdev_classes[];
const struct vdev_class *vdev_class_find(const char *name);

/*
 * Creates a device in two steps, so that keys can be set between them: vdev_new() allocates and
 * fills in defaults, opt_set(cls->opts, dev, ...) sets keys, vdev_init() checks and opens.
 */
int vdev_new(struct vdev **dev, const struct vdev_class *cls, struct err *e);
int vdev_init(struct vdev *dev, struct ev_loop *loop, const struct log *log, struct err *e);
/* Resets, finishes and frees; accepts NULL and a device that was never initialised. */
void vdev_destroy(struct vdev *dev);
/* Connects to the transport; before any of the calls below. */
void vdev_attach(struct vdev *dev, struct vdev_host *host);

/* The bits offered: the device's and the core's, without dev->masked. */
uint64_t vdev_features(const struct vdev *dev);
/* Accepts the driver's choice. -EINVAL with a reason if it is no subset, lacks VERSION_1 or the
 * device refuses; -EBUSY if FEATURES_OK is set and it is another choice. Comes before FEATURES_OK;
 * vhost-user may call it without a status. */
int vdev_set_features(struct vdev *dev, uint64_t features, struct err *e);
/* The driver writes the status (VIRTIO 1.4, 2.1 and 3.1); 0 resets. A FEATURES_OK that is refused
 * is simply not set in dev->status, and neither is a DRIVER_OK without it. A write that clears bits
 * is ignored. */
void vdev_set_status(struct vdev *dev, uint8_t status);
void vdev_reset(struct vdev *dev);

/* Starts queue q; the transport kicks it afterwards. setup->size is checked against the device,
 * setup->features are filled in. -EINVAL with a reason if the queue or the position is wrong or
 * features were not negotiated, -EBUSY if it runs. */
int vdev_queue_start(struct vdev *dev, unsigned q, struct vq_setup *setup, struct err *e);
/* Gives the position to continue from; 0 for a queue that was not running. The pointers may be
 * NULL.
 */
void vdev_queue_stop(struct vdev *dev, unsigned q, uint16_t *avail_base, uint16_t *used_base);
/* The driver kicked queue q; nothing happens unless it runs and the device is not broken, and not
 * between a first status and DRIVER_OK, which kicks all queues. Afterwards a queue found broken
 * puts the device in DEVICE_NEEDS_RESET. */
void vdev_kick(struct vdev *dev, unsigned q);

/* Any offset and length; what lies outside reads as zero and is not written. */
void vdev_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len);
void vdev_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len);

/* For devices. */

static inline bool vdev_has(const struct vdev *dev, unsigned bit)
{
	return dev->negotiated & FEATURE(bit);
}

/* The configuration space changed: new generation, and the transport tells the driver. */
void vdev_config_changed(struct vdev *dev);
/* Records an event (docs/events.md): `event` in a word or two ("host-gone"), the rest as printf()
 * says, up to VDEV_DETAIL_MAX bytes. What a guest can cause, the device has to limit
 * (log_allowed()). */
#define VDEV_DETAIL_MAX 200u
void vdev_event(struct vdev *dev, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The driver broke a rule of queue q: logs it, sets DEVICE_NEEDS_RESET, stops serving. */
void vdev_broken(struct vdev *dev, unsigned q, const char *rule);
/* After work outside kick(): looks whether queue q broke, as vdev_kick() does. */
void vdev_check(struct vdev *dev, unsigned q);
