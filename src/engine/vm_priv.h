/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a virtual machine, shared by vm.c, vcpu.c and the architecture's file. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "engine/kvm.h"
#include "engine/regulator.h"
#include "engine/vm.h"
#include "machine/board.h"

/* What processors are to do. */
enum vcpu_want { VCPU_RUN, VCPU_PAUSE, VCPU_STOP };

#define VCPU_DUMP 1u /* writes its registers to the log */
#define VCPU_NMI  2u /* gives its guest a non-maskable interrupt */

struct vcpu {
	struct vm *vm;
	unsigned id;
	int fd;
	struct kvm_run *run; /* NULL before it is mapped */
	pthread_t thread;
	bool started;
	_Atomic unsigned
		requests; /* VCPU_* below: what its thread does before it enters the guest */
	bool asleep;	  /* under vm->lock: it waits to be woken from suspend to RAM */
};

struct vm {
	struct kvm kvm;
	const struct vm_conf *conf;
	const struct log *log;
	const struct vm_events *events;
	int ram_fd;
	int vars_fd; /* of the firmware, not owned; -1: none */
	struct board board;

	struct vcpu *vcpus; /* conf->cpus of them */
	_Atomic uint64_t first_run_ns;
	_Atomic unsigned nrunning;   /* threads */
	struct regulator *regulator; /* of cache misses, or NULL */
	bool real_time;		     /* threads can have the configured policy */
	_Atomic bool ending;	     /* no processor enters the guest again */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	enum vcpu_want want;
	unsigned held;	/* enum vm_holder, as bits: VCPU_RUN has to wait */
	bool suspended; /* to RAM, by the guest */
	bool stands;	/* while suspended: no processor enters KVM */
	bool has_ended;
	enum vm_end end;
	char end_text[160];

	int wake_fd; /* vCPU threads tell the loop that something happened */
	struct ev_fd wake;
	struct ev_task go;
	bool told_running, told_suspended, told_ended; /* the loop's thread only */
	struct log_limit watchdog_limit;	       /* the loop's thread only */
};

/* The first reason counts. Any thread. */
void vm_end_with(struct vm *vm, enum vm_end why, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* isolate.c */

/* The host cannot give what `key` asks for, *e says why: an error if isolation is required; else a
 * line in the log, and 0. */
int vm_cannot(const struct vm *vm, const char *key, struct err *e);
/* A memfd for guest RAM, of huge pages if they are configured. */
int vm_open_memory(const struct vm *vm, struct err *e);
/* Binds a virtual CPU's thread that is to be started. */
int vm_bind_thread(const struct vm *vm, unsigned vcpu, pthread_attr_t *attr, struct err *e);
/* Idempotent; before the processors are released. */
void vm_stop_regulator(struct vm *vm);

/* watchdog.c; on the loop's thread */

/* What the configuration wants on the first stage and at the end of it. */
void vm_watchdog_pretimeout(struct vm *vm);
void vm_watchdog_expired(struct vm *vm);
/* After a change of what processors are to do: a guest that stands still cannot feed. */
void vm_watchdog_hold(struct vm *vm);

/* The guest has suspended itself to RAM, and no processor of it runs until vm_wake(). From a vCPU
 * thread. Where KVM itself lets the processor sleep see vcpu_suspend(). */
void vm_suspend(struct vm *vm);

/* vcpu.c */

/* Installs the signal that takes a processor out of KVM_RUN. */
int vcpu_setup_signal(struct err *e);
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id, struct err *e);
int vcpu_start(struct vcpu *vcpu, struct err *e);
/* Makes the thread look at vm->want. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/*
 * Suspend to RAM: this processor, which starts afresh when it is woken, sleeps until an interrupt
 * comes or vm_wake() is called; the others are off. Both return 0 or -errno. On its thread.
 */
int vcpu_suspend(struct vcpu *vcpu);
int vcpu_wake(struct vcpu *vcpu);
/* The thread does `what` (VCPU_*) soon, also if it is about to end. Any thread. */
void vcpu_request(struct vcpu *vcpu, unsigned what);
/* Waits for the thread, which must have been told to stop, and releases everything. */
void vcpu_destroy(struct vcpu *vcpu);

/* The architecture (x86.c, arm64.c). */

/* Interrupt controller and what must exist before processors do. */
int arch_init(struct vm *vm, struct err *e);
/* All processors exist: their state at power-on; processor 0 starts at `boot`. */
int arch_vcpus_init(struct vm *vm, const struct boot *boot, struct err *e);
/* Handles an exit, or a system event, that only this architecture has; false if it is not known. */
bool arch_exit(struct vcpu *vcpu);
/* The processor is woken from suspend to RAM, on its thread. Returns 0 or -errno. */
int arch_wake(struct vcpu *vcpu);
/* Where a processor stands, for messages about its end. */
uint64_t arch_pc(struct vcpu *vcpu);
/* Writes the registers of a processor to the log; on its thread. */
void arch_dump(struct vcpu *vcpu);
/* A non-maskable interrupt, on the processor's thread; false if this architecture has none. */
bool arch_nmi(struct vcpu *vcpu);
