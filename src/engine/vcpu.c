/* SPDX-License-Identifier: BSD-3-Clause */
/* One virtual processor: a thread that runs KVM_RUN and answers its exits. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/vm_priv.h"

#define KICK_SIGNAL SIGRTMIN
#define STACK_SIZE  (128u << 10)

/* The signal only has to interrupt KVM_RUN. */
static void on_kick(int sig)
{
}

int vcpu_setup_signal(struct err *e)
{
	struct sigaction sa = { .sa_handler = on_kick };

	if (sigaction(KICK_SIGNAL, &sa, NULL) < 0)
		return err_sys(e, -errno, "cannot set a signal handler");
	return 0;
}

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned id, struct err *e)
{
	void *run;

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = kvm_ioctl_val(vm->kvm.fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		return err_sys(e, vcpu->fd, "cannot create virtual CPU %u", id);
	run = mmap(NULL, vm->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the run structure of virtual CPU %u", id);
	vcpu->run = run;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->kvm.run_size);
	vcpu->run = NULL;
	close_fd(&vcpu->fd);
}

void vcpu_kick(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	/* The flag covers the moment before KVM_RUN, the signal the time in it. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_request(struct vcpu *vcpu, unsigned what)
{
	atomic_fetch_or(&vcpu->requests, what);
	vcpu_kick(vcpu);
}

static void serve(struct vcpu *vcpu)
{
	unsigned what = atomic_exchange(&vcpu->requests, 0);

	if (what & VCPU_DUMP)
		arch_dump(vcpu);
	if ((what & VCPU_NMI) && !arch_nmi(vcpu))
		log_warn(vcpu->vm->log, "CPU %u takes no non-maskable interrupt", vcpu->id);
}

static void set_asleep(struct vcpu *vcpu, bool asleep)
{
	struct vm *vm = vcpu->vm;

	pthread_mutex_lock(&vm->lock);
	vcpu->asleep = asleep;
	vm->suspended = asleep;
	pthread_mutex_unlock(&vm->lock);
	fd_event_signal(vm->wake_fd);
}

int vcpu_suspend(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { KVM_MP_STATE_SUSPENDED };
	int rc = kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state);

	if (!rc)
		set_asleep(vcpu, true);
	return rc;
}

int vcpu_wake(struct vcpu *vcpu)
{
	int rc = arch_wake(vcpu);

	if (!rc)
		set_asleep(vcpu, false);
	return rc;
}

static bool must_wait(const struct vm *vm)
{
	return vm->want == VCPU_PAUSE ||
	       (vm->want == VCPU_RUN && (vm->held || (vm->suspended && vm->stands)));
}

/* Waits while paused; false: the thread has to end. */
static bool may_run(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool run, wake;

	pthread_mutex_lock(&vm->lock);
	while (must_wait(vm))
		pthread_cond_wait(&vm->changed, &vm->lock);
	run = vm->want == VCPU_RUN;
	/* Under the lock, so that a later change of mind is not lost. */
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	wake = vcpu->asleep && !vm->suspended;
	if (wake)
		vcpu->asleep = false;
	pthread_mutex_unlock(&vm->lock);
	if (run && wake && arch_wake(vcpu))
		vm_end_with(vm, VM_END_FAULT, "cannot wake CPU %u", vcpu->id);
	return run;
}

static void on_mmio(struct vcpu *vcpu)
{
	struct bus *bus = &vcpu->vm->kvm.vmm.mmio;
	struct kvm_run *run = vcpu->run;
	unsigned len = run->mmio.len;

	if (len > sizeof(run->mmio.data))
		return;
	if (run->mmio.is_write)
		bus_write(bus, run->mmio.phys_addr, run->mmio.data, len);
	else
		bus_read(bus, run->mmio.phys_addr, run->mmio.data, len);
}

static void on_system_event(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint32_t type = vcpu->run->system_event.type;

	if (type == KVM_SYSTEM_EVENT_SHUTDOWN)
		vm_end_with(vm, VM_END_POWEROFF, "guest powered off");
	else if (type == KVM_SYSTEM_EVENT_RESET)
		vm_end_with(vm, VM_END_RESET, "guest asked for a reset");
	else if (!arch_exit(vcpu))
		vm_end_with(vm, VM_END_CRASH, "guest crashed (KVM system event %u)", type);
}

static void on_exit_reason(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		on_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		on_system_event(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_end_with(vm, VM_END_CRASH, "guest crashed: triple fault on CPU %u", vcpu->id);
		break;
	case KVM_EXIT_HLT:
		vm_end_with(
			vm, VM_END_CRASH, "guest halted CPU %u with no way to wake it", vcpu->id);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vm_end_with(vm, VM_END_CRASH,
			"KVM internal error %u on CPU %u at 0x%" PRIx64
			" (1: an instruction it cannot emulate)",
			run->internal.suberror, vcpu->id, arch_pc(vcpu));
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vm_end_with(vm, VM_END_CRASH,
			"the processor refuses to enter the guest on CPU %u, hardware reason "
			"0x%llx",
			vcpu->id, run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		if (!arch_exit(vcpu))
			vm_end_with(vm, VM_END_FAULT, "CPU %u left KVM for the unknown reason %u",
				vcpu->id, run->exit_reason);
		break;
	}
}

/* Remembers when the first processor enters the guest. */
static void note_first_run(struct vm *vm)
{
	uint64_t zero = 0;

	if (!atomic_load(&vm->first_run_ns) &&
		atomic_compare_exchange_strong(&vm->first_run_ns, &zero, ev_now_ns()))
		fd_event_signal(vm->wake_fd);
}

static void *run_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;
	char name[16];

	/* Of itself: in a jail there is no /proc to name another thread. */
	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	while (may_run(vcpu)) {
		int rc;

		serve(vcpu);
		note_first_run(vm);
		do {
			rc = ioctl(vcpu->fd, KVM_RUN, 0);
			if (!rc)
				on_exit_reason(vcpu);
		} while (!rc && !atomic_load(&vm->ending) &&
			 !__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED));
		if (rc < 0 && errno != EINTR && errno != EAGAIN)
			vm_end_with(vm, VM_END_FAULT,
				"KVM_RUN of CPU %u at 0x%" PRIx64 " failed: %s", vcpu->id,
				arch_pc(vcpu), strerror(errno));
	}
	serve(vcpu);
	atomic_fetch_sub(&vm->nrunning, 1);
	fd_event_signal(vm->wake_fd);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = vm_bind_thread(vcpu->vm, vcpu->id, &attr, e);
	if (!rc) {
		atomic_fetch_add(&vcpu->vm->nrunning, 1);
		rc = -pthread_create(&vcpu->thread, &attr, run_thread, vcpu);
		if (rc)
			atomic_fetch_sub(&vcpu->vm->nrunning, 1);
		if (rc)
			err_sys(e, rc, "cannot start the thread of virtual CPU %u%s", vcpu->id,
				vcpu->vm->conf->cpu_host.n ? " on the host CPU of cpu-host" : "");
	}
	pthread_attr_destroy(&attr);
	if (rc)
		return rc;
	vcpu->started = true;
	return 0;
}
