/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite: what a case is, and what it may use. Cases are written once on top of
 * drivers/ and run in two places: in avp-conform, against a vhost-user back-end and without any VM,
 * and in a bare-metal guest, against a whole platform. They are freestanding C and include only
 * drivers/ and this.
 *
 * A case states exactly what must come back. It starts with the device reset, and leaves when a
 * check fails:
 *
 *     static void flush_status(struct cf *c)
 *     {
 *             struct drv_queue *q = cf_up(c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1);
 *             ...
 *             if (q && cf_do(c, q, hdr, 16, status, 1))
 *                     cf_eq(c, *status, VIRTIO_BLK_S_OK, "status");
 *     }
 *
 * What the core does for every case: skips it when the device is of another class or lacks a
 * feature; checks afterwards that no byte around any buffer has changed, that the ring was not
 * broken, and that the device is still there; measures the time.
 */
#pragma once

#include "drivers/drv.h"

#define CF_EVIDENCE_MAX 240

enum cf_verdict { CF_PASS, CF_FAIL, CF_SKIP };

/* Flags of a case. */
#define CF_RINGS   1u  /* runs once with split rings and once with packed ones */
#define CF_HOSTILE 2u  /* breaks rules on purpose; part of the hostile guest suite */
#define CF_PEER	   4u  /* needs target->peer */
#define CF_ECHO	   8u  /* needs target->echo */
#define CF_PCI	   16u /* needs the pci transport: ops->name is "pci" */
#define CF_MMIO	   32u
#define CF_GUEST   64u	 /* needs target->guest */
#define CF_STATUS  128u	 /* needs a device status that can be read */
#define CF_IRQ	   256u	 /* needs ops->interrupts */
#define CF_PACKED  512u	 /* runs once, with packed rings */
#define CF_LONG	   1024u /* tens of thousands of requests: left out in a guest */

struct cf;

/* One case. Tables end with a NULL name. */
struct cf_case {
	const char *name;   /* area.topic.what */
	const char *proves; /* IDs of spec/, separated by blanks */
	void (*run)(struct cf *c);
	uint16_t device; /* device ID; 0: any */
	uint16_t flags;
	uint64_t needs; /* feature bits that must be offered */
};

/* All tables, ends with NULL (conformance/cases.c). */
extern const struct cf_case *const cf_case_tables[];

/* A request that every device of a class answers: what generic cases use. */
struct cf_probe {
	uint16_t device, queue;
	const uint8_t *out; /* the device-readable part */
	uint32_t out_len;
	uint32_t in_len;	 /* bytes the device may write */
	uint32_t used, used_min; /* the right used length; at least, where the device may choose */
	uint64_t features;	 /* bits without which the class has no valid choice */
};

struct cf_range {
	uint64_t addr, len;
};

/* What a guest knows of its machine; for cases about the platform. */
struct cf_guest {
	const char *description; /* "ACPI" or "device tree"; NULL: there is none */
	const char *off;	 /* how it is switched off: "ACPI", "PSCI", "EFI"; NULL: not said */
	const char *clock;	 /* what the time is measured with */
	unsigned ncpus;		 /* 0: not said */
	const struct cf_range *ram; /* what the guest may use */
	unsigned nram;
	struct drv_dev **devices; /* all that were found */
	unsigned ndevices;
	/* [opt] The rate of the guest's clock, in parts per million of what it claims, measured
	 * with another timer. 0: there is none. */
	uint32_t (*clock_rate)(void);
	/* [opt] A random number of the processor's; false: it has none to give. */
	bool (*random)(uint64_t *v);
	/* [opt] Where an address of the device range at which nothing is can be touched: its
	 * address. NULL: such an access is an exception of the architecture. */
	volatile uint32_t *nothing;
};

/* The device under test, and what is around it. Provided by a runner. */
struct cf_target {
	const struct drv_platform *platform;
	struct drv_dev *dev;
	/* [opt] A second device of the class that is connected to the first: net on the same
	 * switch, vsock with `peer_cid` as its CID. */
	struct drv_dev *peer;
	bool echo;		      /* console: the host side sends back what it gets */
	bool hostile;		      /* run only cases with CF_HOSTILE */
	const struct cf_guest *guest; /* NULL: not in a guest */
	/* Memory for buffers; devices reach it. Not the devices' own. */
	uint8_t *mem;
	size_t mem_len;
	/* [opt] Where in `mem`, behind its first megabytes, two of the ranges meet in which devices
	 * get to know of memory. */
	uint8_t *seam;
	uint64_t hole;	   /* device address where 64 KiB of nothing are */
	uint64_t readonly; /* device address of 4 KiB that devices may not write; 0: none */
	uint64_t limit;	   /* nanoseconds that a device may take for an answer */
	/* [opt] What the user says of the device: "serial", "mac", "mtu", "cid", "peer_cid",
	 * "capacity", "read-only", ... NULL if nothing was said. */
	const char *(*fact)(struct cf_target *t, const char *key);
	/* [opt] False if the device, or the process behind it, is gone; `why` says it. */
	bool (*alive)(struct cf_target *t, const char **why);
	/* [opt] Connects again to a back-end that closed the connection. False if its process has
	 * ended, too. */
	bool (*reconnect)(struct cf_target *t);
	/* [opt] Makes it usable again after it went. */
	bool (*revive)(struct cf_target *t);
	/* [opt] In a guest: keeps interrupts from being handled, until `off` is false. */
	void (*hold_interrupts)(bool off);
	/* [opt] Kills the back-end's process and lets a new one continue with what was in flight.
	 */
	bool (*kill)(struct cf_target *t);
	void *ctx;
};

/* One verdict. */
struct cf_result {
	const struct cf_case *c;
	bool packed; /* ran with packed rings */
	enum cf_verdict verdict;
	uint64_t ns;
	const char *evidence; /* one line: why it failed or was skipped, what was seen */
};

struct cf_run {
	struct cf_target *target;
	/* [opt] False: leaves the case out. */
	bool (*wanted)(void *ctx, const struct cf_case *c);
	void (*report)(void *ctx, const struct cf_result *r);
	void *ctx;
};

/* Bytes of a struct cf, for the runner to provide; aligned for a pointer. */
size_t cf_size(void);
/* Runs all cases and reports each. `c` needs no initialization. Returns how many failed. */
unsigned cf_run(struct cf *c, const struct cf_run *run);

/* For cases. What fails is recorded; the first failure is the evidence. */

/* Records a failure unless `ok`; returns it. */
bool cf_check(struct cf *c, bool ok, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* got == want, else "WHAT is GOT, must be WANT". */
bool cf_eq(struct cf *c, uint64_t got, uint64_t want, const char *what);
/* The target cannot be judged here, and why. */
void cf_skip(struct cf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What was seen, shown if the case passes. */
void cf_note(struct cf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cf_failed(const struct cf *c);

struct cf_target *cf_target(const struct cf *c);
struct drv_dev *cf_dev(const struct cf *c);
bool cf_packed(const struct cf *c);
bool cf_offered(const struct cf *c, unsigned bit);
uint64_t cf_limit(const struct cf *c); /* now plus the time that a device may take */
const char *cf_fact(const struct cf *c, const char *key);

/* The bits to negotiate for `want`: those offered, the ring layout of this run, and what a driver
 * has to accept (VERSION_1, ACCESS_PLATFORM, ORDER_PLATFORM). */
uint64_t cf_features(const struct cf *c, uint64_t want);
/* Steps of initialization (3.1.1): up to FEATURES_OK; a queue (size 0: up to 64); DRIVER_OK. False
 * or NULL: recorded as failure. */
bool cf_begin(struct cf *c, uint64_t want);
struct drv_queue *cf_queue(struct cf *c, uint16_t index, uint16_t size);
bool cf_run_device(struct cf *c);
/* All of them, with queues 0..n-1. Returns queue 0; cf_q() gives the others. */
struct drv_queue *cf_up(struct cf *c, uint64_t want, unsigned n);
struct drv_queue *cf_q(struct cf *c, unsigned index);
/* The same for another device (the peer). `queues` has room for n. */
bool cf_up_other(
	struct cf *c, struct drv_dev *dev, uint64_t want, struct drv_queue *queues, unsigned n);

/* Memory that the device reaches, filled with 0xa5, with guards around it that are checked when the
 * case ends. NULL (recorded) if there is no more. */
void *cf_buf(struct cf *c, uint32_t len);
struct drv_sg cf_sg(struct cf *c, const void *p, uint32_t len);
/* True if all `len` bytes at p have the value. */
bool cf_filled(const void *p, uint8_t value, uint32_t len);
void cf_copy(void *to, const void *from, size_t len);
void cf_fill(void *p, uint8_t value, size_t len);
bool cf_same(const void *a, const void *b, size_t len);
/* Fills with a pattern that depends on `seed`; tells whether it is there. */
void cf_pattern(void *p, uint32_t seed, size_t len);
bool cf_is_pattern(const void *p, uint32_t seed, size_t len);

/* Adds, publishes and notifies. */
bool cf_submit(struct cf *c, struct drv_queue *q, const struct drv_sg *sg, unsigned n_out,
	unsigned n_in, void *cookie);
/* Waits for a used buffer, which stays; false: none in `ns` nanoseconds. Nothing is recorded. */
bool cf_has_used(struct cf *c, struct drv_queue *q, uint64_t ns);
/* Waits for the next used buffer. Recorded: none in time, a broken ring. */
bool cf_used(struct cf *c, struct drv_queue *q, void **cookie, uint32_t *len);
/* One request of a readable and a writable part from cf_buf(), either may be empty: submits, waits
 * and checks that the used length is `used`. */
bool cf_do(struct cf *c, struct drv_queue *q, const void *out, uint32_t out_len, void *in,
	uint32_t in_len, uint32_t used);
/* The used length is not checked but returned. */
bool cf_do_len(struct cf *c, struct drv_queue *q, const void *out, uint32_t out_len, void *in,
	uint32_t in_len, uint32_t *used);
/* The class's probe; NULL if there is none. */
const struct cf_probe *cf_probe(const struct cf *c);
/* As cf_up(), with the queues up to the probe's, which is returned. Skipped if there is no probe.
 */
struct drv_queue *cf_up_probe(struct cf *c, uint64_t want);
/* Runs it on q, and checks the used length. */
bool cf_probe_works(struct cf *c, struct drv_queue *q);

/* Device status; false (skipped) where it cannot be read. */
bool cf_status(struct cf *c, uint8_t *status);
/* Waits for a status bit to come, or to go. Recorded. */
bool cf_status_becomes(struct cf *c, uint8_t mask, uint8_t value);
/*
 * How every hostile case ends: the device says DEVICE_NEEDS_RESET (2.1.2), uses nothing more of q
 * (NULL: not checked), and works again after a reset. Where the status cannot be read only the last
 * is checked, and a back-end may close its connection: it has no other way to say it.
 */
void cf_must_break(struct cf *c, struct drv_queue *q);
/* A back-end may close its connection over a message that it cannot accept (a queue outside memory,
 * a write to a read-only field). True if it did and is connected again; the device is as after a
 * reset then. */
bool cf_hung_up(struct cf *c);
/* The device must go on as if nothing had been: the probe works on q. */
void cf_must_go_on(struct cf *c, struct drv_queue *q);

/* Interrupts of q (DRV_CONFIG) since the last call; false (skipped) where they cannot be counted.
 */
bool cf_interrupts(struct cf *c, uint16_t q, uint32_t *count);
/* Waits for at least one. Recorded. */
bool cf_interrupted(struct cf *c, uint16_t q);

/* Configuration fields, little-endian. */
uint64_t cf_config(struct cf *c, uint32_t offset, unsigned len);

/* Text. Knows %s %c %d %u %x, with l or ll and a width with leading zeroes. Returns the length;
 * always ends with 0. */
size_t cf_format(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t cf_vformat(char *buf, size_t size, const char *fmt, __builtin_va_list args)
	__attribute__((format(printf, 3, 0)));
bool cf_text_same(const char *a, const char *b);
/* Numbers from text, decimal or 0x...; false if it is none. */
bool cf_number(const char *text, uint64_t *value);
