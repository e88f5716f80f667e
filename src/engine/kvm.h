/* SPDX-License-Identifier: BSD-3-Clause */
/* KVM, as far as it is the same on all architectures: the VM, its memory, interrupts, doorbells. */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>

#include "transport/vmm.h"

/* Interrupt lines that a board may have; messages are numbered from there. */
#define KVM_LINES 160u
/* Read-only memory: its slots come after those of guest RAM. */
#define KVM_ROMS_MAX 4u

/* Private fields, except `vmm`, `fd` and `sys_fd`. */
struct kvm {
	struct vmm vmm; /* the machine as transports and the board see it */
	int sys_fd, fd; /* /dev/kvm and the VM */
	size_t run_size;
	unsigned max_routes; /* entries of the routing, and interrupt numbers in it */
	bool any_length;     /* doorbells of length 0 */
	uint32_t line_code;  /* of line 0 in KVM_IRQ_LINE; set by the architecture */
	bool msi_devid;	     /* messages carry their sender (GICv3 ITS); set by the architecture */

	pthread_mutex_t lock; /* of all below */
	unsigned line_users[KVM_LINES];
	struct kvm_irq_routing *routes;
	unsigned nfixed, nmsis; /* entries of routes: those of the irqchip, then messages */
	struct {
		uint64_t gpa, len; /* len 0: the slot is free */
	} roms[KVM_ROMS_MAX];
};

/* Opens /dev/kvm and creates a VM. `loop` and `log` must outlive it. */
int kvm_init(struct kvm *kvm, struct ev_loop *loop, const struct log *log, struct err *e);
/* Accepts a zeroed or half initialised structure. */
void kvm_finish(struct kvm *kvm);

/* Guest RAM at `gpa`: maps `fd` from `offset`, tells KVM and kvm->vmm.gm. */
int kvm_add_ram(
	struct kvm *kvm, uint64_t gpa, uint64_t size, int fd, uint64_t offset, struct err *e);

/* The fixed part of the interrupt routing, once; copies `entries`. */
int kvm_set_fixed_routes(
	struct kvm *kvm, const struct kvm_irq_routing_entry *entries, unsigned n, struct err *e);

/* An ioctl that is repeated when a signal interrupts it; returns its result or -errno. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_ioctl_val(int fd, unsigned long request, unsigned long arg);
/* The value of a capability of the VM, 0 if it has none. */
int kvm_cap(const struct kvm *kvm, unsigned cap);
