/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generic watchdog of Arm server and automotive systems (Arm Base System Architecture, DEN0094,
 * appendix "Generic watchdog"; before that, SBSA). Two signals: WS0 is an interrupt, WS1 the end.
 */
#pragma once

#include <pthread.h>

#include "machine/countdown.h"
#include "machine/event.h"
#include "transport/vmm.h"

#define SBSA_WDT_FRAME 0x1000u

/* Where it is, and the clock that it counts. */
struct sbsa_wdt_conf {
	uint64_t refresh, control;	/* guest-physical, SBSA_WDT_FRAME bytes each */
	uint32_t irq;			/* line of WS0 */
	uint32_t frequency;		/* of the guest's system counter, Hz (CNTFRQ_EL0); not 0 */
	uint64_t (*counter)(void *arg); /* what that counter shows now (CNTVCT_EL0); any thread */
	void *counter_arg;
	machine_event_fn *event; /* on the loop's thread */
	void *arg;
};

/* Private fields. `lock` guards all below it. */
struct sbsa_wdt {
	struct vmm *vmm;
	struct sbsa_wdt_conf conf;
	struct bus_range refresh, control;

	pthread_mutex_t lock;
	struct countdown countdown;
	bool enabled, ws0, ws1, line;
	uint64_t offset;  /* WOR, 48 bits, ticks */
	uint64_t compare; /* WCV while it does not count */
};

/* Puts the frames on vmm->mmio. On vmm->loop's thread or before it runs. */
int sbsa_wdt_init(
	struct sbsa_wdt *w, struct vmm *vmm, const struct sbsa_wdt_conf *conf, struct err *e);
/* Accepts a zeroed structure. */
void sbsa_wdt_finish(struct sbsa_wdt *w);
/* The guest stands still / goes on: so does the watchdog, though the system counter may not. Any
 * thread. */
void sbsa_wdt_hold(struct sbsa_wdt *w, bool hold);
