/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a monitor does for the isolation of its VM's time and memory: real-time threads, pages that
 * stay, a budget of cache misses. docs/isolation.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/host_check.h"
#include "engine/vm_priv.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int vm_cannot(const struct vm *vm, const char *key, struct err *e)
{
	if (vm->conf->isolation == VM_ISOLATION_REQUIRED)
		return err_prefix(e, "%s", key);
	log_warn(vm->log, "%s: %s; going on without it", key, e->msg);
	*e = (struct err){ 0 };
	return 0;
}

static int huge_memory(const struct vm_conf *conf, struct err *e)
{
	autoclose int fd = fd_memfd("guest-ram", conf->memory, MFD_HUGETLB | MFD_HUGE_2MB, e);

	if (fd < 0)
		return fd;
	/* Now or never: later there would only be SIGBUS. */
	if (fallocate(fd, 0, 0, (off_t)conf->memory) < 0)
		return err_sys(e, -errno,
			"guest memory of %" PRIu64 " huge pages (see /proc/sys/vm/nr_hugepages)",
			conf->memory / VM_HUGE_PAGE);
	return steal_fd(&fd);
}

int vm_open_memory(const struct vm *vm, struct err *e)
{
	int fd, rc;

	if (vm->conf->hugepages) {
		fd = huge_memory(vm->conf, e);
		rc = fd < 0 ? vm_cannot(vm, "hugepages", e) : fd;
		if (rc)
			return rc;
	}
	fd = fd_memfd("guest-ram", vm->conf->memory, 0, e);
	return fd < 0 ? err_prefix(e, "guest memory") : fd;
}

static int set_policy(const struct vm_conf *conf, unsigned priority)
{
	struct sched_param param = { .sched_priority = (int)priority };
	int policy = !priority				 ? SCHED_OTHER
		     : conf->sched_policy == VM_SCHED_RR ? SCHED_RR
							 : SCHED_FIFO;

	return sched_setscheduler(0, policy, &param) ? -errno : 0;
}

/*
 * Threads inherit policy and priority from this one. It takes the highest priority while it has the
 * right to, and goes down from there in vm_start_cpus(), for which the jail leaves it enough.
 */
static int take_real_time(struct vm *vm, struct err *e)
{
	unsigned priority = host_priority(vm->conf);
	int rc;

	if (!priority)
		return 0;
	host_raise_limit(RLIMIT_RTPRIO);
	rc = set_policy(vm->conf, priority);
	if (rc)
		return err_sys(e, rc,
			"cannot have real-time priority %u (RLIMIT_RTPRIO, CAP_SYS_NICE)",
			priority);
	vm->real_time = true;
	return 0;
}

static int lock_range(const struct gm_region *r, struct err *e)
{
	/* Before mlock(), because it says why there is no memory; the kernel has it since 5.14. */
	if (madvise(r->hva, r->size, MADV_POPULATE_WRITE) && errno != EINVAL)
		return err_sys(e, -errno, "cannot get %" PRIu64 " KiB of guest RAM", r->size >> 10);
	if (mlock(r->hva, r->size))
		return err_sys(e, -errno,
			"cannot lock %" PRIu64 " KiB of guest RAM (RLIMIT_MEMLOCK)", r->size >> 10);
	return 0;
}

static int lock_memory(struct vm *vm, struct err *e)
{
	const struct gm *gm = vm_memory(vm);
	struct rlimit lim = { 0, 0 };
	int rc = 0;

	if (!vm->conf->lock_memory)
		return 0;
	host_raise_limit(RLIMIT_MEMLOCK);
	getrlimit(RLIMIT_MEMLOCK, &lim);
	for (unsigned i = 0; !rc && i < gm->n; i++)
		rc = lock_range(&gm->r[i], e);
	/* The monitor's own pages, too, as they come; with a limit, later ones would be refused. */
	if (!rc && lim.rlim_cur == RLIM_INFINITY &&
		mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		rc = err_sys(e, -errno, "cannot lock the monitor's own memory");
	return rc;
}

static int open_regulator(struct vm *vm, struct err *e)
{
	if (!vm->conf->llc_misses)
		return 0;
	return regulator_open(&vm->regulator, vm->conf, vm->log, e);
}

int vm_isolate(struct vm *vm, struct err *e)
{
	static const struct {
		const char *key;
		int (*fn)(struct vm *vm, struct err *e);
	} steps[] = {
		{ "sched", take_real_time },
		{ "lock-memory", lock_memory },
		{ "llc-budget", open_regulator },
	};
	int rc = 0;

	for (unsigned i = 0; !rc && i < ARRAY_LEN(steps); i++)
		if (steps[i].fn(vm, e))
			rc = vm_cannot(vm, steps[i].key, e);
	return rc;
}

static void on_hold(void *arg, bool hold)
{
	vm_hold(arg, VM_HOLD_BUDGET, hold);
}

static int start_regulator(struct vm *vm, struct err *e)
{
	const struct regulator_ops ops = { .hold = on_hold, .arg = vm };

	return vm->regulator ? regulator_start(vm->regulator, &ops, e) : 0;
}

int vm_start_cpus(struct vm *vm, struct err *e)
{
	int rc = start_regulator(vm, e);

	if (!rc && vm->real_time)
		rc = set_policy(vm->conf, vm->conf->sched_priority);
	for (unsigned i = 0; !rc && i < vm->conf->cpus; i++)
		rc = vcpu_start(&vm->vcpus[i], e);
	if (!rc && vm->real_time && !vm->conf->sched_devices)
		rc = set_policy(vm->conf, 0);
	if (rc && !e->code)
		err_sys(e, rc, "cannot change the scheduling policy");
	return rc;
}

void vm_stop_regulator(struct vm *vm)
{
	struct regulator_totals t;

	if (!vm->regulator)
		return;
	regulator_stop(vm->regulator);
	t = regulator_totals(vm->regulator);
	if (t.periods)
		log_info(vm->log,
			"llc-budget: held in %" PRIu64 " of %" PRIu64 " periods; %" PRIu64
			" misses in all",
			t.held_periods, t.periods, t.misses);
	regulator_close(vm->regulator);
	vm->regulator = NULL;
}

int vm_bind_thread(const struct vm *vm, unsigned vcpu, pthread_attr_t *attr, struct err *e)
{
	int cpu, rc = host_cpu_of(vm->conf, vcpu, &cpu, e);
	cpu_set_t set;

	if (rc)
		return vm_cannot(vm, "cpus", e);
	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_setaffinity_np(attr, sizeof(set), &set);
	return 0;
}
