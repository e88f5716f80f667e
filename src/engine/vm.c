/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a virtual machine: put together, started, paused, ended. */
#include "engine/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/firmware.h"
#include "engine/vm_priv.h"

const char *vm_end_name(enum vm_end why)
{
	switch (why) {
	case VM_END_POWEROFF:
		return "poweroff";
	case VM_END_RESET:
		return "reset";
	case VM_END_CRASH:
		return "crash";
	case VM_END_FORCED:
		return "forced";
	case VM_END_WATCHDOG:
		return "watchdog";
	case VM_END_FAULT:
	default:
		return "fault";
	}
}

void vm_end_with(struct vm *vm, enum vm_end why, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->lock);
	if (!vm->has_ended) {
		vm->has_ended = true;
		vm->end = why;
		va_start(ap, fmt);
		vsnprintf(vm->end_text, sizeof(vm->end_text), fmt, ap);
		va_end(ap);
	}
	vm->want = VCPU_STOP;
	atomic_store(&vm->ending, true);
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	fd_event_signal(vm->wake_fd);
}

static void on_machine(void *arg, enum machine_event what)
{
	switch (what) {
	case MACHINE_POWER_OFF:
		vm_end_with(arg, VM_END_POWEROFF, "guest powered off");
		break;
	case MACHINE_WATCHDOG_PRETIMEOUT:
		vm_watchdog_pretimeout(arg);
		break;
	case MACHINE_WATCHDOG_EXPIRED:
		vm_watchdog_expired(arg);
		break;
	case MACHINE_SUSPEND:
		vm_suspend(arg);
		break;
	case MACHINE_RESET:
	default:
		vm_end_with(arg, VM_END_RESET, "guest asked for a reset");
		break;
	}
}

static void kick_all(struct vm *vm)
{
	for (unsigned i = 0; vm->vcpus && i < vm->conf->cpus; i++)
		vcpu_kick(&vm->vcpus[i]);
}

static void stop_vcpus(struct vm *vm)
{
	vm_stop_regulator(vm);
	kick_all(vm);
	for (unsigned i = 0; vm->vcpus && i < vm->conf->cpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	vm->vcpus = NULL;
}

void vm_suspend(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->suspended = vm->stands = true;
	for (unsigned i = 0; i < vm->conf->cpus; i++)
		vm->vcpus[i].asleep = true;
	pthread_mutex_unlock(&vm->lock);
	kick_all(vm);
	fd_event_signal(vm->wake_fd);
}

static bool is_suspended(struct vm *vm)
{
	bool suspended;

	pthread_mutex_lock(&vm->lock);
	suspended = vm->suspended;
	pthread_mutex_unlock(&vm->lock);
	return suspended;
}

/* A guest that is woken at once may not be noticed. */
static void tell_suspended(struct vm *vm)
{
	bool suspended = is_suspended(vm);

	if (suspended == vm->told_suspended)
		return;
	vm->told_suspended = suspended;
	vm_watchdog_hold(vm);
	vm->events->suspended(vm->events->arg, suspended);
}

static void on_wake(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	uint64_t first = atomic_load(&vm->first_run_ns);

	fd_event_clear(vm->wake_fd);
	if (first && !vm->told_running) {
		vm->told_running = true;
		vm->events->running(vm->events->arg, first);
	}
	tell_suspended(vm);
	if (!atomic_load(&vm->ending) || vm->told_ended)
		return;
	kick_all(vm);
	/* One may be in ev_call() and need this loop before it can leave: no waiting here. */
	if (atomic_load(&vm->nrunning))
		return;
	vm->told_ended = true;
	stop_vcpus(vm);
	vm->events->ended(vm->events->arg, vm->end, vm->end_text);
}

static int add_ram(struct vm *vm, struct err *e)
{
	uint64_t size = vm->conf->memory;
	struct board_ram ram[BOARD_RAM_MAX];
	uint64_t offset = 0;
	int n = board_ram(size, ram, e), rc = 0;

	if (n < 0)
		return n;
	vm->ram_fd = vm_open_memory(vm, e);
	if (vm->ram_fd < 0)
		return vm->ram_fd;
	for (int i = 0; !rc && i < n; i++) {
		rc = kvm_add_ram(&vm->kvm, ram[i].gpa, ram[i].size, vm->ram_fd, offset, e);
		offset += ram[i].size;
	}
	return rc;
}

static int vm_init(struct vm *vm, struct err *e)
{
	int rc;

	vm->wake_fd = fd_event();
	if (vm->wake_fd < 0)
		return err_sys(e, vm->wake_fd, "cannot create an eventfd");
	rc = ev_fd_add(vm->kvm.vmm.loop, &vm->wake, vm->wake_fd, EPOLLIN, on_wake, vm);
	if (rc)
		return err_sys(e, rc, "cannot watch an eventfd");
	rc = arch_init(vm, e);
	if (!rc)
		rc = add_ram(vm, e);
	if (!rc)
		rc = board_init(&vm->board, &vm->kvm.vmm, on_machine, vm, e);
	if (!rc && vm->conf->watchdog)
		rc = board_add_watchdog(&vm->board, on_machine, vm, e);
	if (!rc)
		rc = vcpu_setup_signal(e);
	return rc;
}

/* KVM runs guests of the host's kind only. */
static int check_arch(const struct vm_conf *conf, struct err *e)
{
	enum vm_arch arch = vm_conf_arch(conf);

	if (arch == VM_ARCH_HOST)
		return 0;
	return err_set(e, -ENOTSUP,
		"%s is a guest for %s, this host is %s: avp run --board %s has a computer for it",
		conf->kernel ? conf->kernel : "this", vm_arch_words[arch],
		vm_arch_words[VM_ARCH_HOST], vm_arch_words[arch]);
}

int vm_create(struct vm **out, const struct vm_conf *conf, struct ev_loop *loop,
	const struct log *log, const struct vm_events *events, struct err *e)
{
	struct vm *vm;
	int rc = check_arch(conf, e);

	if (rc)
		return rc;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_set(e, -ENOMEM, "no memory for a virtual machine");
	vm->conf = conf;
	vm->log = log;
	vm->events = events;
	vm->ram_fd = vm->wake_fd = vm->vars_fd = -1;
	vm->want = VCPU_PAUSE;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	rc = kvm_init(&vm->kvm, loop, log, e);
	if (!rc)
		rc = vm_init(vm, e);
	if (rc) {
		vm_destroy(vm);
		return rc;
	}
	*out = vm;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	if (vm->vcpus)
		vm_end_with(vm, VM_END_FORCED, "stopped by force");
	stop_vcpus(vm);
	if (vm->go.fn)
		ev_task_cancel(&vm->go);
	board_finish(&vm->board);
	ev_fd_del(&vm->wake);
	close_fd(&vm->wake_fd);
	kvm_finish(&vm->kvm);
	close_fd(&vm->ram_fd);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_set_vars(struct vm *vm, int fd)
{
	vm->vars_fd = fd;
}

const struct gm *vm_memory(const struct vm *vm)
{
	return &vm->kvm.vmm.gm;
}

int vm_set_serial(struct vm *vm, int in_fd, int out_fd, struct err *e)
{
	return board_set_serial(&vm->board, in_fd, out_fd, e);
}

static int create_vcpus(struct vm *vm, struct err *e)
{
	int rc = 0;

	vm->vcpus = calloc(vm->conf->cpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return err_set(e, -ENOMEM, "no memory for %u virtual CPUs", vm->conf->cpus);
	for (unsigned i = 0; i < vm->conf->cpus; i++)
		vm->vcpus[i].fd = -1;
	for (unsigned i = 0; !rc && i < vm->conf->cpus; i++)
		rc = vcpu_create(&vm->vcpus[i], vm, i, e);
	return rc ? rc : arch_vcpus_init(vm, &vm->board.boot, e);
}

int vm_load(struct vm *vm, const struct boot_items *verified, struct err *e)
{
	int rc;

	vm->board.boot.verified = verified;
	vm->board.boot.kernel = vm->conf->kernel;
	vm->board.boot.initrd = vm->conf->initrd;
	vm->board.boot.vars_fd = vm->vars_fd;
	if (vm->conf->firmware)
		vm->board.boot.firmware = firmware_path(vm->conf->firmware);
	vm->board.boot.cmdline = vm->conf->cmdline;
	vm->board.boot.dtb = vm->conf->dtb;
	vm->board.boot.load_address = vm->conf->load_address;
	vm->board.boot.raw_entry = vm->conf->entry;
	rc = board_load(&vm->board, e);
	return rc ? rc : create_vcpus(vm, e);
}

/* The loop runs, so that processors may call it. */
static void go(void *arg)
{
	vm_resume(arg);
}

int vm_start(struct vm *vm, struct err *e)
{
	int rc;

	board_place(&vm->board);
	rc = board_describe(&vm->board, vm->conf->cpus, e);
	ev_task_init(vm->kvm.vmm.loop, &vm->go, go, vm);
	ev_task_post(&vm->go);
	if (!rc && vm->regulator)
		regulator_go(vm->regulator);
	return rc;
}

bool vm_wake(struct vm *vm)
{
	bool was;

	pthread_mutex_lock(&vm->lock);
	was = vm->suspended;
	vm->suspended = vm->stands = false;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	if (was)
		kick_all(vm);
	tell_suspended(vm);
	return was;
}

bool vm_power_button(struct vm *vm)
{
	bool woken = vm_wake(vm);

	return board_power_button(&vm->board) || woken;
}

bool vm_sleep_button(struct vm *vm)
{
	return board_sleep_button(&vm->board);
}

static void set_want(struct vm *vm, enum vcpu_want from, enum vcpu_want to)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->want == from)
		vm->want = to;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	vm_watchdog_hold(vm);
	kick_all(vm);
}

void vm_pause(struct vm *vm)
{
	set_want(vm, VCPU_RUN, VCPU_PAUSE);
}

void vm_resume(struct vm *vm)
{
	set_want(vm, VCPU_PAUSE, VCPU_RUN);
}

void vm_hold(struct vm *vm, enum vm_holder who, bool hold)
{
	bool running;

	pthread_mutex_lock(&vm->lock);
	vm->held = hold ? vm->held | who : vm->held & ~(unsigned)who;
	running = vm->want == VCPU_RUN;
	if (running && !hold)
		pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	if (running && hold)
		kick_all(vm);
}

void vm_quit(struct vm *vm)
{
	vm_end_with(vm, VM_END_FORCED, "stopped by force");
}

const char *vm_state(struct vm *vm)
{
	enum vcpu_want want;
	bool suspended;

	pthread_mutex_lock(&vm->lock);
	want = vm->want;
	suspended = vm->suspended;
	pthread_mutex_unlock(&vm->lock);
	if (want == VCPU_STOP)
		return "ended";
	if (want == VCPU_PAUSE)
		return "paused";
	return suspended ? "suspended" : "running";
}

void vm_set_scmi(struct vm *vm, uint32_t protocols, uint32_t voltages)
{
	board_set_scmi(&vm->board, protocols, voltages);
}

int vm_add_device(struct vm *vm, const struct vm_device *dev, struct err *e)
{
	if (dev->transport == VM_TRANSPORT_MMIO)
		return board_add_mmio(&vm->board, dev->be, dev->name, e);
	return board_add_pci(&vm->board, dev->be, dev->name, dev->pci_class, e);
}
