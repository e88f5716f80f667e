/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kill -9 at random moments under verified load, of each device process and each medium:
 *
 *     test_kill [-n KILLS] [NAME...]
 *
 * Each is killed so often with packed rings, and as often with split ones. No request may be lost
 * or answered twice, no content wrong. The time from the kill until a request that was made after
 * it is answered is told, and judged by nobody here: machines that run tests are busy.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "load_classes.h"
#include "tap.h"

#define PAUSE_NS 4000000u /* most between being back in service and the next kill */
#define LOOK_NS	 500000	  /* how often it is looked after */
#define BACK_NS	 UINT64_C(120000000000)
#define WARM_UP	 50u /* steps */

const struct load_class *const load_classes[] = { &load_blk, &load_blk_direct, &load_rng, &load_rtc,
	&load_console, &load_vsock, &load_input, &load_gpio, &load_i2c, &load_spi, &load_scmi,
	&load_tap, &load_can_own, &load_net, &load_can, &load_link, &load_wires, &load_platform,
	NULL };

/* A load and the thread that kills what serves it. */
struct run {
	struct load l;
	unsigned kills; /* wanted */
	unsigned n;	/* done */
	unsigned again; /* processes that could not start at once: the dead one held something */
	unsigned interrupted; /* kills with requests under way, as far as the load counts them */
	uint64_t *outage;     /* ns, of each */
	atomic_ullong died;   /* when the process ended; 0: it lives, or it has been replaced */
	uint64_t killed;
	sem_t back;
	atomic_bool over;
	struct err e;
};

static void sleep_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* Waits until the load has seen that it is back, and meanwhile does what the supervisor does with a
 * process that ends with an error. False: it does not come back. */
static bool wait_back(struct run *r)
{
	uint64_t until = ev_now_ns() + BACK_NS;

	while (sem_trywait(&r->back) < 0) {
		int ret = server_again(&r->l.srv, &r->e);

		r->again += ret > 0;
		if (ret < 0)
			return false;
		if (ev_now_ns() > until) {
			err_set(&r->e, -ETIMEDOUT, "not back in service in time");
			return false;
		}
		sleep_ns(LOOK_NS);
	}
	return true;
}

static void *killer(void *arg)
{
	struct run *r = arg;
	uint64_t seed = ev_now_ns();

	while (r->n < r->kills && !atomic_load(&r->over)) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		sleep_ns((long)((seed >> 33) % PAUSE_NS));
		atomic_store(&r->l.calm_since, UINT64_MAX);
		r->interrupted += atomic_load(&r->l.pending) > 0;
		r->killed = ev_now_ns();
		if (server_kill(&r->l.srv, &r->e))
			break;
		atomic_store(&r->died, ev_now_ns());
		if (server_replace(&r->l.srv, &r->e))
			break;
		if (!wait_back(r))
			break;
	}
	atomic_store(&r->over, true);
	return NULL;
}

/* Looks whether the last step showed that the process is back. */
static void note_service(struct run *r)
{
	uint64_t died = atomic_load(&r->died), now = ev_now_ns();

	if (!died || r->l.begun <= died)
		return;
	r->outage[r->n++] = now - r->killed;
	atomic_store(&r->l.calm_since, now);
	atomic_store(&r->died, 0);
	sem_post(&r->back);
}

static bool run_load(struct run *r)
{
	pthread_t thread;
	int ret = 0;

	for (unsigned i = 0; !ret && i < WARM_UP; i++)
		ret = r->l.cls->step(&r->l);
	if (ret || pthread_create(&thread, NULL, killer, r))
		return false;
	while (!ret && !atomic_load(&r->over)) {
		ret = r->l.cls->step(&r->l);
		note_service(r);
	}
	atomic_store(&r->over, true);
	sem_post(&r->back);
	pthread_join(thread, NULL);
	if (r->e.code)
		load_fail(&r->l, "%s", r->e.msg);
	if (!ret && !r->e.code && r->l.cls->finish)
		ret = r->l.cls->finish(&r->l);
	return !ret && !r->e.code;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell(const struct run *r, const char *name, const char *rings)
{
	const uint64_t *o = r->outage;
	char under_way[48] = "", again[48] = "";

	if (!r->n)
		return;
	qsort(r->outage, r->n, sizeof(*o), by_value);
	if (r->interrupted)
		snprintf(under_way, sizeof(under_way), ", %u with requests under way",
			r->interrupted);
	if (r->again)
		snprintf(again, sizeof(again), ", %u started twice", r->again);
	printf("# %s, %s rings: %u kills%s%s; %lu answers, lost %lu, twice %lu; back after p50 "
	       "%.1f "
	       "p99 %.1f max %.1f ms\n",
		name, rings, r->n, under_way, again, r->l.done, r->l.lost, r->l.twice,
		o[r->n / 2] / 1e6, o[r->n * 99 / 100] / 1e6, o[r->n - 1] / 1e6);
}

static void kill_class(struct tap *t, const struct load_class *cls, unsigned kills, uint64_t hidden)
{
	struct run *r = calloc(1, sizeof(*r));
	bool good;

	REQUIRE(t, r);
	r->kills = kills;
	r->outage = calloc(kills, sizeof(*r->outage));
	sem_init(&r->back, 0, 0);
	good = r->outage && !load_open(&r->l, cls, hidden) && run_load(r);
	good = load_close(&r->l) && good;
	tell(r, cls->name, hidden ? "split" : "packed");
	if (!strncmp(r->l.why, LOAD_SKIP, strlen(LOAD_SKIP)))
		printf("# %s: %s\n", cls->name, r->l.why);
	else if (!CHECK(t, good))
		printf("# %s, kill %u: %s\n", cls->name, r->n, r->l.why);
	CHECK(t, !good || r->n == kills);
	sem_destroy(&r->back);
	free(r->outage);
	free(r);
}

static bool wanted(const char *name, char *const *names)
{
	for (unsigned i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return true;
	return !names[0];
}

int main(int argc, char **argv)
{
	unsigned kills = 10;
	struct tap t = { 0 };
	int option;

	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt(argc, argv, "n:")) == 'n')
		kills = (unsigned)strtoul(optarg, NULL, 10);
	if (option != -1 || !kills) {
		fputs("usage: test_kill [-n KILLS] [NAME...]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (const struct load_class *const *cls = load_classes; *cls; cls++) {
		if (!wanted((*cls)->name, argv + optind))
			continue;
		t.case_failed = 0;
		kill_class(&t, *cls, kills, 0);
		kill_class(&t, *cls, kills, DRV_FEATURE(VIRTIO_F_RING_PACKED));
		t.n++;
		t.failed += t.case_failed;
		printf("%s %d - %s\n", t.case_failed ? "not ok" : "ok", t.n, (*cls)->name);
	}
	return tap_done(&t);
}
