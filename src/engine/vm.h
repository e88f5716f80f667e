/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual machine on KVM: memory, board, devices, processors. All calls come from the thread of
 * its loop.
 */
#pragma once

#include "base/loop.h"
#include "engine/vm_conf.h"
#include "virtio/backend.h"

struct vm;

/* Why a guest ended; the numbers are the monitor's exit statuses (docs/architecture.md). */
enum vm_end {
	VM_END_POWEROFF = 0,
	VM_END_FAULT = 1,
	VM_END_RESET = 10,
	VM_END_CRASH = 11,
	VM_END_FORCED = 12,
	VM_END_WATCHDOG = 13,
};

/* What the owner wants to hear; on the loop's thread. */
struct vm_events {
	/* The first instruction is about to run; `when_ns` is CLOCK_MONOTONIC. */
	void (*running)(void *arg, uint64_t when_ns);
	/* The guest has suspended itself to RAM (true), or goes on (false). */
	void (*suspended)(void *arg, bool suspended);
	/* The guest did not feed its watchdog: `what` is "pretimeout", or the configured action. */
	void (*watchdog)(void *arg, const char *what);
	/* All processors have stopped for good. `text` is one line that says why. */
	void (*ended)(void *arg, enum vm_end why, const char *text);
	void *arg;
};

/* One device on its way into the machine. */
struct vm_device {
	const char *name;    /* for messages, copied */
	struct vbackend *be; /* taken over on success */
	uint32_t pci_class;  /* 24 bits */
	enum vm_transport transport;
};

/*
 * Creates the machine with its memory. `conf`, `loop`, `log` and `events` must outlive it.
 */
int vm_create(struct vm **vm, const struct vm_conf *conf, struct ev_loop *loop,
	const struct log *log, const struct vm_events *events, struct err *e);
/* Stops everything; accepts NULL. */
void vm_destroy(struct vm *vm);

/* Guest memory, for backends. */
const struct gm *vm_memory(const struct vm *vm);

/* The file of the firmware's second bank of flash, which stays the caller's; before vm_load(). */
void vm_set_vars(struct vm *vm, int fd);
/* Opens and loads the files of the boot, creates the processors: all that needs files and /dev/kvm.
 * `verified`: what was verified, or NULL; not needed any more after vm_start(). */
int vm_load(struct vm *vm, const struct boot_items *verified, struct err *e);
/* Real-time rights, locked memory, miss counter, as far as configured: after vm_load(), before the
 * jail closes and before any other thread. */
int vm_isolate(struct vm *vm, struct err *e);
/* Starts the processors' threads, which wait. Right after the jail closed: the thread that calls
 * this then gives up the real-time policy that they inherit, unless `sched-devices` says that all
 * threads have it. */
int vm_start_cpus(struct vm *vm, struct err *e);
/* Before vm_start(). */
int vm_set_serial(struct vm *vm, int in_fd, int out_fd, struct err *e);
int vm_add_device(struct vm *vm, const struct vm_device *dev, struct err *e);
/* What the guest finds behind its SCMI device: board_set_scmi(). */
void vm_set_scmi(struct vm *vm, uint32_t protocols, uint32_t voltages);
/* Writes the tables and lets the processors go as soon as the loop runs. */
int vm_start(struct vm *vm, struct err *e);

/* Wakes a guest that has suspended itself to RAM; false if it has not. */
bool vm_wake(struct vm *vm);
/* Wakes the guest and presses the power button; false if it slept not and does not listen to it. */
bool vm_power_button(struct vm *vm);
/* Presses the sleep button, on which a guest suspends itself; false if it does not listen to it. */
bool vm_sleep_button(struct vm *vm);
/* Stops the processors where they are / lets them go on. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* Who keeps the processors out of the guest for moments; independent of each other and of a pause.
 */
enum vm_holder { VM_HOLD_BUDGET = 1, VM_HOLD_THROTTLE = 2 };
/* Keeps them out / lets them in again. Does not wait for them. Any thread. */
void vm_hold(struct vm *vm, enum vm_holder who, bool hold);
/* Ends the guest by force. */
void vm_quit(struct vm *vm);
/* "running", "suspended", "paused" or "ended". */
const char *vm_state(struct vm *vm);
/* One word for `why`: "poweroff", "reset", "crash", "forced", "watchdog", "fault". */
const char *vm_end_name(enum vm_end why);
