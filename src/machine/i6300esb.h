/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog of Intel's 6300ESB I/O controller hub, a PCI function. Two stages: the first one
 * warns, the second one is the end.
 */
#pragma once

#include <pthread.h>

#include "machine/countdown.h"
#include "machine/event.h"
#include "transport/pci_func.h"

enum i6300esb_stage { I6300ESB_STOPPED, I6300ESB_FIRST, I6300ESB_SECOND };

/* Private fields. `lock` guards all below it. */
struct i6300esb {
	struct vmm *vmm;
	uint32_t gsi;
	machine_event_fn *event;
	void *arg;

	pthread_mutex_t lock;
	struct pci_func func;
	struct countdown countdown;
	enum i6300esb_stage stage;
	unsigned unlock;     /* writes of the unlock sequence seen */
	uint32_t preload[2]; /* ticks of each stage, 20 bits */
	bool pending;	     /* the first stage has ended */
	bool timed_out;	     /* the second one has */
	bool line;
};

/* Makes a function for the place `at`. `event` comes on vmm->loop's thread. On that thread or
 * before it runs. */
int i6300esb_init(struct i6300esb *w, struct vmm *vmm, const struct pci_place *at,
	machine_event_fn *event, void *arg, struct err *e);
/* Accepts a zeroed structure. */
void i6300esb_finish(struct i6300esb *w);
struct pci_slot i6300esb_slot(struct i6300esb *w);
/* The guest stands still / goes on: so does the watchdog. Any thread. */
void i6300esb_hold(struct i6300esb *w, bool hold);
