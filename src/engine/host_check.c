/* SPDX-License-Identifier: BSD-3-Clause */
/* Can this host do what is asked for? */
#include "engine/host_check.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "engine/regulator.h"

#define FREE_HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static bool has_capability(unsigned cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capget, &head, data) &&
	       data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

void host_raise_limit(__rlimit_resource_t what)
{
	struct rlimit lim;

	if (getrlimit(what, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(what, &lim);
}

int host_cpu_of(const struct vm_conf *conf, unsigned vcpu, int *cpu, struct err *e)
{
	unsigned long number;
	const char *word;
	cpu_set_t set;

	*cpu = -1;
	if (!conf->cpu_host.n)
		return 0;
	word = conf->cpu_host.v[vcpu % conf->cpu_host.n];
	number = strtoul(word, NULL, 10);
	if (sched_getaffinity(0, sizeof(set), &set))
		return err_sys(e, -errno, "cannot see which host CPUs there are");
	if (number >= CPU_SETSIZE || !CPU_ISSET(number, &set))
		return err_set(e, -ENODEV,
			"cpu-host: host CPU %s is not one of the %d that this process may use",
			word, CPU_COUNT(&set));
	*cpu = (int)number;
	return 0;
}

static int check_cpus(const struct vm_conf *conf, struct err *e)
{
	for (unsigned i = 0; i < conf->cpu_host.n; i++) {
		int cpu, rc = host_cpu_of(conf, i, &cpu, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int check_huge_pages(const struct vm_conf *conf, struct err *e)
{
	autofclose FILE *f = conf->hugepages ? fopen(FREE_HUGE_PAGES, "re") : NULL;
	uint64_t need = conf->memory / VM_HUGE_PAGE, have = 0;

	if (!conf->hugepages)
		return 0;
	if (f && fscanf(f, "%" SCNu64, &have) == 1 && have >= need)
		return 0;
	return err_set(e, -ENOMEM,
		"%" PRIu64 " huge pages of 2M needed, %" PRIu64
		" are free (see /proc/sys/vm/nr_hugepages)",
		need, have);
}

static int check_lock(const struct vm_conf *conf, struct err *e)
{
	struct rlimit lim = { 0, 0 };

	if (!conf->lock_memory || has_capability(CAP_IPC_LOCK))
		return 0;
	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_max >= conf->memory)
		return 0;
	return err_set(e, -EPERM,
		"this user may lock %" PRIu64 " KiB, %" PRIu64
		" are needed (RLIMIT_MEMLOCK; LimitMEMLOCK= of a systemd service, or CAP_IPC_LOCK)",
		(uint64_t)lim.rlim_max >> 10, conf->memory >> 10);
}

unsigned host_priority(const struct vm_conf *conf)
{
	/* The regulator must get the processor from those whom it is to stop, and at once. */
	return conf->sched_priority + (conf->llc_misses ? 1 : 0);
}

/* Is it for a moment, with what this process has of rights now. */
static int try_real_time(unsigned priority)
{
	struct sched_param old, param = { .sched_priority = (int)priority };
	int policy = sched_getscheduler(0), rc;

	if (policy < 0 || sched_getparam(0, &old))
		return -errno;
	rc = sched_setscheduler(0, SCHED_FIFO, &param) ? -errno : 0;
	if (!rc && sched_setscheduler(0, policy, &old))
		return -errno;
	return rc;
}

static int check_sched(const struct vm_conf *conf, struct err *e)
{
	unsigned priority = host_priority(conf);
	struct rlimit before;
	int rc;

	if (!priority || getrlimit(RLIMIT_RTPRIO, &before))
		return 0;
	host_raise_limit(RLIMIT_RTPRIO);
	rc = try_real_time(priority);
	setrlimit(RLIMIT_RTPRIO, &before);
	if (!rc)
		return 0;
	if (before.rlim_max < priority && !has_capability(CAP_SYS_NICE))
		return err_set(e, rc,
			"this user may have real-time priorities up to %" PRIu64
			", %u is needed (RLIMIT_RTPRIO; LimitRTPRIO= of a systemd service, or "
			"CAP_SYS_NICE)",
			(uint64_t)before.rlim_max, priority);
	return err_sys(e, rc,
		"the kernel refuses real-time priority %u (its control group may have no "
		"real-time budget: cpu.rt_runtime_us)",
		priority);
}

static int check_budget(const struct vm_conf *conf, struct err *e)
{
	return conf->llc_misses ? regulator_probe(conf, e) : 0;
}

static const struct {
	const char *key;
	int (*check)(const struct vm_conf *conf, struct err *e);
} checks[] = {
	{ "cpus", check_cpus },
	{ "hugepages", check_huge_pages },
	{ "lock-memory", check_lock },
	{ "sched", check_sched },
	{ "llc-budget", check_budget },
};

void host_check(const struct vm_conf *conf, host_lacks_fn lacks, void *arg)
{
	for (unsigned i = 0; i < ARRAY_LEN(checks); i++) {
		struct err e = { 0 };

		if (checks[i].check(conf, &e))
			lacks(arg, checks[i].key, e.msg);
	}
}
