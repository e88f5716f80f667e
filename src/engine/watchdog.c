/* SPDX-License-Identifier: BSD-3-Clause */
/* What the machine does when the guest does not feed its watchdog (docs/watchdog.md). */
#include "engine/vm_priv.h"

/* A guest can let it expire as often as it likes. */
#define BURST 5u

static void request_all(struct vm *vm, unsigned what)
{
	for (unsigned i = 0; vm->vcpus && i < vm->conf->cpus; i++)
		vcpu_request(&vm->vcpus[i], what);
}

void vm_watchdog_pretimeout(struct vm *vm)
{
	bool nmi = vm->conf->watchdog_pretimeout == VM_PRETIMEOUT_NMI;

	if (nmi)
		request_all(vm, VCPU_NMI);
	if (vm->conf->watchdog_pretimeout == VM_PRETIMEOUT_NONE ||
		!log_allowed(&vm->watchdog_limit, BURST))
		return;
	log_warn(vm->log, "watchdog not fed: first stage%s", nmi ? ", guest gets an NMI" : "");
	vm->events->watchdog(vm->events->arg, "pretimeout");
}

void vm_watchdog_expired(struct vm *vm)
{
	enum vm_watchdog action = (enum vm_watchdog)vm->conf->watchdog_action;
	bool ends = action <= VM_WATCHDOG_FALLBACK;

	if (atomic_load(&vm->ending) || (!ends && !log_allowed(&vm->watchdog_limit, BURST)))
		return;
	vm->events->watchdog(vm->events->arg, vm_watchdog_words[action]);
	if (action != VM_WATCHDOG_NONE)
		log_warn(vm->log, "watchdog expired: %s", vm_watchdog_words[action]);
	/* Before the processors are told to end, so that each says where it was. */
	if (ends || action == VM_WATCHDOG_DUMP)
		request_all(vm, VCPU_DUMP);
	if (ends)
		vm_end_with(vm, VM_END_WATCHDOG, "guest did not feed its watchdog");
}

void vm_watchdog_hold(struct vm *vm)
{
	bool hold;

	pthread_mutex_lock(&vm->lock);
	hold = vm->want == VCPU_PAUSE || vm->suspended;
	pthread_mutex_unlock(&vm->lock);
	board_hold(&vm->board, hold);
}
