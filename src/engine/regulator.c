/* SPDX-License-Identifier: BSD-3-Clause */
/* The regulator of cache misses: a performance counter, a timer, a thread. */
#include "engine/regulator.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/miss_budget.h"

#define STACK_SIZE (64u << 10)
/* A look at the counter after each of this many parts of the budget that a processor uses. More of
 * them stop it more exactly and cost more interrupts. */
#define PARTS 4u

struct regulator {
	const struct log *log;
	struct regulator_ops ops;
	struct miss_budget budget;
	uint64_t misses; /* the budget */
	uint64_t period_ns;
	int event; /* enum vm_llc_event */
	int counter;
	int overflow; /* SIGIO */
	int timer;
	int go, stop; /* eventfds */
	pthread_t thread;
	bool started;
	bool holding; /* the thread's own */
};

/* What the words of vm_conf's llc_event mean to perf_event_open(2). */
struct counter_type {
	uint32_t type;
	uint64_t config;
};

#define LL_READ_MISS                                                                               \
	(PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_OP_READ << 8 |                               \
		PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

static const struct counter_type counter_types[] = {
/* The generic event is that of the last level on x86-64, and of the first one on arm64. */
#ifdef __aarch64__
	[VM_LLC_EVENT_AUTO] = { PERF_TYPE_HW_CACHE, LL_READ_MISS },
#else
	[VM_LLC_EVENT_AUTO] = { PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
#endif
	[VM_LLC_EVENT_CACHE_MISSES] = { PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
	[VM_LLC_EVENT_LL_READ_MISSES] = { PERF_TYPE_HW_CACHE, LL_READ_MISS },
	[VM_LLC_EVENT_CPU_CLOCK] = { PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
};

static int open_counter(const struct vm_conf *conf, struct err *e)
{
	const struct counter_type *t = &counter_types[conf->llc_event];
	struct perf_event_attr attr = {
		.type = t->type,
		.size = sizeof(attr),
		.config = t->config,
		.sample_period = max_u64(conf->llc_misses / (PARTS * conf->cpus), 1),
		.inherit = 1,
		.pinned = t->type != PERF_TYPE_SOFTWARE,
		.wakeup_events = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	const char *word = conf->llc_event == VM_LLC_EVENT_AUTO
				   ? "misses of the last-level cache"
				   : vm_llc_event_words[conf->llc_event];

	if (fd >= 0)
		return (int)fd;
	if (errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV)
		return err_set(e, -ENOTSUP,
			"this computer has no hardware counter for %s (virtual machines often have "
			"none; perf list shows what there is)",
			word);
	if (errno == EACCES || errno == EPERM)
		return err_set(e, -EACCES,
			"this user may not count %s: CAP_PERFMON, or 1 or less in "
			"/proc/sys/kernel/perf_event_paranoid, is needed",
			word);
	return err_sys(e, -errno, "cannot open a counter for %s", word);
}

int regulator_probe(const struct vm_conf *conf, struct err *e)
{
	int fd = open_counter(conf, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Processor time of the thread that asks. */
static uint64_t own_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The sum over all threads, -errno; -ENODEV: somebody took the hardware counter away. */
static int read_counter(const struct regulator *r, uint64_t *count)
{
	ssize_t n = read(r->counter, count, sizeof(*count));

	if (n < 0)
		return -errno;
	if (n != sizeof(*count))
		return -ENODEV;
	/* The regulator's own misses are few, but its time is not the guest's. */
	if (r->event == VM_LLC_EVENT_CPU_CLOCK)
		*count -= own_clock();
	return 0;
}

/* Overflows of the counter, whichever thread counted, arrive at a descriptor. */
static int watch_overflow(struct regulator *r, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r->overflow = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->overflow < 0 || fcntl(r->counter, F_SETOWN, getpid()) ||
		fcntl(r->counter, F_SETFL, O_RDONLY | O_ASYNC))
		return err_sys(e, -errno, "cannot watch a counter");
	return 0;
}

static int open_all(struct regulator *r, const struct vm_conf *conf, struct err *e)
{
	r->counter = open_counter(conf, e);
	if (r->counter < 0)
		return r->counter;
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r->go = fd_event();
	r->stop = fd_event();
	if (r->timer < 0 || r->go < 0 || r->stop < 0)
		return err_sys(e, -errno, "cannot create a timer");
	return watch_overflow(r, e);
}

int regulator_open(
	struct regulator **out, const struct vm_conf *conf, const struct log *log, struct err *e)
{
	struct regulator *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_set(e, -ENOMEM, "no memory");
	r->log = log;
	r->misses = conf->llc_misses;
	r->event = conf->llc_event;
	r->period_ns = (conf->llc_period ? conf->llc_period : 1) * UINT64_C(1000000);
	r->counter = r->overflow = r->timer = r->go = r->stop = -1;
	rc = open_all(r, conf, e);
	if (rc) {
		regulator_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void set_hold(struct regulator *r, bool hold)
{
	if (hold == r->holding)
		return;
	r->holding = hold;
	r->ops.hold(r->ops.arg, hold);
}

/* One look, `expired` periods after the one before; false if the counter is gone, and with it the
 * regulation. */
static bool look(struct regulator *r, uint64_t expired)
{
	uint64_t count;

	if (read_counter(r, &count)) {
		log_error(r->log,
			"llc-budget: the performance counter was taken away; the VM is no "
			"longer held to its budget");
		set_hold(r, false);
		return false;
	}
	/* More than one if this thread was late; there is no debt that lasts longer than so many.
	 */
	for (uint64_t i = 0; i < min_u64(expired, 2 * MISS_DEBT_PERIODS); i++)
		miss_budget_period(&r->budget, &count);
	set_hold(r, miss_budget_count(&r->budget, &count));
	return true;
}

static bool start_timer(const struct regulator *r)
{
	struct timespec period = { .tv_sec = (time_t)(r->period_ns / 1000000000u),
		.tv_nsec = (long)(r->period_ns % 1000000000u) };
	struct itimerspec t = { .it_interval = period, .it_value = period };

	return !timerfd_settime(r->timer, 0, &t, NULL);
}

/* Waits for regulator_go(), or for the end; false: not to be regulated. */
static bool wait_go(struct regulator *r)
{
	struct pollfd p[] = {
		{ .fd = r->stop, .events = POLLIN },
		{ .fd = r->go, .events = POLLIN },
	};
	uint64_t count;

	while (poll(p, ARRAY_LEN(p), -1) < 0 && errno == EINTR)
		;
	if (!p[1].revents)
		return false;
	if (read_counter(r, &count) || !start_timer(r)) {
		log_error(r->log, "llc-budget: counter or timer do not work; the VM is not held to "
				  "its budget");
		return false;
	}
	miss_budget_init(&r->budget, r->misses, &count, 1);
	return true;
}

static void *regulate(void *arg)
{
	struct regulator *r = arg;
	struct pollfd p[] = {
		{ .fd = r->stop, .events = POLLIN },
		{ .fd = r->timer, .events = POLLIN },
		{ .fd = r->overflow, .events = POLLIN },
	};
	bool going;

	pthread_setname_np(pthread_self(), "regulator");
	going = wait_go(r);
	while (going) {
		struct signalfd_siginfo info;
		uint64_t expired = 0;

		/* Once held, only the end of the period matters. */
		p[2].fd = r->holding ? -1 : r->overflow;
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		if (read(r->overflow, &info, sizeof(info)) < 0 && errno != EAGAIN)
			break;
		if (read(r->timer, &expired, sizeof(expired)) < 0)
			expired = 0;
		going = look(r, expired);
	}
	set_hold(r, false);
	return NULL;
}

int regulator_start(struct regulator *r, const struct regulator_ops *ops, struct err *e)
{
	pthread_attr_t attr;
	int rc;

	r->ops = *ops;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = -pthread_create(&r->thread, &attr, regulate, r);
	pthread_attr_destroy(&attr);
	r->started = !rc;
	return rc ? err_sys(e, rc, "llc-budget: cannot start the regulator") : 0;
}

void regulator_go(struct regulator *r)
{
	fd_event_signal(r->go);
}

void regulator_stop(struct regulator *r)
{
	if (!r || !r->started)
		return;
	fd_event_signal(r->stop);
	pthread_join(r->thread, NULL);
	r->started = false;
}

struct regulator_totals regulator_totals(const struct regulator *r)
{
	return (struct regulator_totals){ r->budget.periods, r->budget.held_periods,
		r->budget.total };
}

void regulator_close(struct regulator *r)
{
	if (!r)
		return;
	regulator_stop(r);
	close_fd(&r->counter);
	close_fd(&r->overflow);
	close_fd(&r->timer);
	close_fd(&r->go);
	close_fd(&r->stop);
	free(r);
}
