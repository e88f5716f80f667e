/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hostile guest suite: one guest of a system breaks every rule it can, another one works beside
 * it on the same switch. After each case every process must be the one that it was, and the
 * neighbour must get on with its work, without an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/guest_suite.h"
#include "conformance/neighbour.h"
#include "system/client.h"
#include "system/jsonl.h"

#define BEAT_GAP_NS   (UINT64_C(15) * 1000000000) /* between beats: generous, the machine is busy */
#define ANSWER_S      30
#define LINES_AT_ONCE 1000u
#define PROCS_MAX     32u
#define BOOTS_MAX     4u
#define NEIGHBOUR     "isolation.neighbour.unharmed"

/* A process of the system as it was at first. */
struct proc_was {
	char name[64];
	double pid, again; /* boots or restarts */
};

struct hostile {
	const struct guest_suite *suite;
	struct vm vm;
	struct guest_judge judge;
	struct client_conn control;
	struct proc_was procs[PROCS_MAX];
	unsigned nprocs;
	struct guest_beat beat; /* the last one */
	uint64_t beat_ns, longest_ns;
	uint64_t writes; /* as the neighbour said at its end */
	bool bye;
	char trouble[256]; /* empty: none, or charged to a case already */
	char harm[256];	   /* the first trouble of the run */
};

/* Keeps the first one. */
static bool __attribute__((format(printf, 2, 3))) trouble(struct hostile *h, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (!*h->trouble)
		vsnprintf(h->trouble, sizeof(h->trouble), fmt, args);
	va_end(args);
	if (!*h->harm)
		memcpy(h->harm, h->trouble, sizeof(h->harm));
	return false;
}

/* Processes. */

static double number(const cJSON *o, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

static void remember(struct hostile *h, const cJSON *p, const char *name, double again)
{
	struct proc_was *was = &h->procs[h->nprocs];

	if (h->nprocs == PROCS_MAX)
		return;
	snprintf(was->name, sizeof(was->name), "%s", name);
	was->pid = number(p, "pid");
	was->again = again;
	h->nprocs++;
}

static bool compare(struct hostile *h, const cJSON *p, const char *name, double again)
{
	const char *state = jsonl_str(p, "state");

	for (unsigned i = 0; i < h->nprocs; i++) {
		struct proc_was *was = &h->procs[i];
		const double pid = was->pid;

		if (strcmp(was->name, name) != 0)
			continue;
		if (was->pid == number(p, "pid") && was->again == again)
			return true;
		was->pid = number(p, "pid");
		was->again = again;
		if (pid < 0) /* it is back; the case that ended it has heard of it */
			return true;
		return trouble(h, "%s died: process %.0f is now %.0f, %s", name, pid, was->pid,
			state ? state : "gone");
	}
	return trouble(h, "%s was not there before", name);
}

/* Looks at all processes: remembers them, or checks that nothing has changed. */
static bool look_at_processes(struct hostile *h, bool first)
{
	static const char *const kinds[] = { "vms", "devices", "media" };
	struct err e = { 0 };
	unsigned seen = 0;
	cJSON *ps = NULL;
	bool ok = true;

	if (client_request(&h->control, client_command("ps"), &ps, &e))
		return trouble(h, "the supervisor does not answer: %s", e.msg);
	for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
		const cJSON *p;

		cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(ps, kinds[k]))
		{
			const char *name = jsonl_str(p, "name");
			double again = number(p, k ? "restarts" : "boots");

			seen++;
			if (first)
				remember(h, p, name ? name : "?", again);
			else
				ok &= compare(h, p, name ? name : "?", again);
		}
	}
	cJSON_Delete(ps);
	return seen == h->nprocs ? ok : trouble(h, "%u processes where %u were", seen, h->nprocs);
}

static int open_control(struct hostile *h, struct err *e)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int ret = client_open(&h->control, VM_SYSTEM, e);

	if (ret)
		return ret;
	setsockopt(h->control.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return 0;
}

/* The neighbour. */

static void take_beat(struct hostile *h, const struct guest_beat *b)
{
	uint64_t now = ev_now_ns();

	if (b->errors > h->beat.errors)
		trouble(h, "the neighbour counts %llu errors", (unsigned long long)b->errors);
	if (h->beat_ns &&
		(b->n <= h->beat.n || b->disk <= h->beat.disk || b->frames <= h->beat.frames))
		trouble(h, "the neighbour stands still: %llu disk requests, %llu frames",
			(unsigned long long)b->disk, (unsigned long long)b->frames);
	if (h->beat_ns)
		h->longest_ns = max_u64(h->longest_ns, now - h->beat_ns);
	h->beat = *b;
	h->beat_ns = now;
}

static void hear_neighbour(struct hostile *h)
{
	struct guest_line l;

	for (unsigned i = 0; i < LINES_AT_ONCE && guest_serial_next(&h->vm.neighbour, &l); i++) {
		if (l.word == GUEST_BEAT)
			take_beat(h, &l.beat);
		if (l.word == GUEST_TEXT && strstr(l.text, "AVPC error"))
			trouble(h, "the neighbour says: %.160s", l.text);
		if (l.word == GUEST_BYE) {
			h->bye = true;
			h->writes = l.writes;
		}
	}
	if (h->beat_ns && !h->bye && ev_now_ns() - h->beat_ns > BEAT_GAP_NS) {
		trouble(h, "no beat of the neighbour for %u s",
			(unsigned)(BEAT_GAP_NS / 1000000000));
		h->beat_ns = ev_now_ns();
	}
}

/* Until it works; then the attacker may begin. */
static int wait_for_neighbour(struct hostile *h, struct err *e)
{
	uint64_t deadline = ev_now_ns() + h->suite->silence_s * UINT64_C(1000000000);
	const struct timespec pause = { .tv_nsec = 20000000 };

	while (!h->beat_ns || h->control.fd < 0) {
		if (child_ended(&h->vm.child))
			return err_set(e, -ECHILD, "the system ended at once");
		if (ev_now_ns() > deadline)
			return err_set(e, -ETIMEDOUT, "the neighbour does not begin to work");
		nanosleep(&pause, NULL);
		hear_neighbour(h);
		if (h->control.fd < 0)
			open_control(h, NULL);
	}
	return vm_release(&h->vm, e);
}

static bool disk_is_right(struct hostile *h)
{
	autofree char *path = place_path(&h->vm.place, "disk2");
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	uint8_t block[NEIGHBOUR_BLOCK];

	if (fd < 0)
		return trouble(h, "the neighbour's disk cannot be read");
	for (unsigned i = 0; i < NEIGHBOUR_BLOCKS && i < h->writes; i++) {
		if (fd_pread_full(fd, block, sizeof(block), i * (uint64_t)sizeof(block)) ||
			!cf_is_pattern(block, neighbour_seed(i, h->writes), sizeof(block)))
			return trouble(
				h, "block %u of the neighbour's disk is not what it wrote", i);
	}
	return true;
}

/* Its power button; it says goodbye and switches itself off. */
static void end_neighbour(struct hostile *h)
{
	cJSON *request = client_command("stop"), *result = NULL;
	struct err e = { 0 };

	cJSON_AddStringToObject(request, "vm", "neighbour");
	if (client_request(&h->control, request, &result, &e))
		trouble(h, "the neighbour does not end: %s", e.msg);
	cJSON_Delete(result);
	hear_neighbour(h);
	if (!h->bye)
		trouble(h, "the neighbour did not switch itself off");
	else
		disk_is_right(h);
}

static void report_neighbour(struct hostile *h)
{
	char seen[200];
	const struct report_result r = {
		.target = "neighbour",
		.transport = h->suite->vm.transport,
		.name = NEIGHBOUR,
		.proves = report_proves(NEIGHBOUR),
		.verdict = *h->harm ? CF_FAIL : CF_PASS,
		.evidence = *h->harm ? h->harm : seen,
	};

	snprintf(seen, sizeof(seen),
		"%llu beats, %llu disk requests, %llu frames, no errors; at most %llu ms between "
		"beats",
		(unsigned long long)h->beat.n, (unsigned long long)h->beat.disk,
		(unsigned long long)h->beat.frames, (unsigned long long)(h->longest_ns / 1000000));
	report_add(h->suite->report, &r);
}

/* The attacker. */

static bool take_line(void *ctx, const struct guest_line *l)
{
	struct hostile *h = ctx;
	struct guest_line worse = *l;

	if (l->word == GUEST_BEGIN && !h->nprocs)
		look_at_processes(h, true);
	if (l->word == GUEST_CASE && l->verdict != CF_SKIP) {
		hear_neighbour(h);
		look_at_processes(h, false);
	}
	if (l->word == GUEST_CASE && *h->trouble) {
		worse.verdict = CF_FAIL;
		worse.evidence = h->trouble;
	}
	judge_line(&h->judge, &worse);
	if (worse.evidence == h->trouble)
		h->trouble[0] = '\0';
	return !h->judge.done;
}

static bool tick(void *ctx)
{
	hear_neighbour(ctx);
	return true;
}

/* One boot of both. 1: the attacker was lost in a case. */
static int run_boot(struct hostile *h, struct err *e)
{
	const struct guest_watch watch = { &h->vm, h->suite->silence_s * UINT64_C(1000000000),
		ev_now_ns() + h->suite->time_s * UINT64_C(1000000000), take_line, tick, h };
	autofree char *words = NULL;
	enum watch_end end;
	char why[240];
	int ret;

	h->beat_ns = h->nprocs = 0;
	h->beat = (struct guest_beat){ 0 };
	h->bye = false;
	if (asprintf(&words, "%s from=%u", h->suite->words, h->judge.begun) < 0)
		return err_set(e, -ENOMEM, "no memory");
	ret = vm_boot(&h->vm, words, e);
	if (!ret)
		ret = wait_for_neighbour(h, e);
	if (ret)
		return ret;
	end = guest_watch(&watch, why, sizeof(why));
	if (end != WATCH_STOPPED)
		return judge_lost(&h->judge, why) && end != WATCH_LATE;
	end_neighbour(h);
	report_neighbour(h);
	return 0;
}

int guest_suite_hostile(const struct guest_suite *s, struct err *e)
{
	struct hostile h = { .suite = s, .judge.report = s->report, .control.fd = -1 };
	int ret = vm_open(&h.vm, &s->vm, e);

	for (unsigned boots = 0; !ret; boots++) {
		if (boots == BOOTS_MAX) {
			report_broken(s->report, "guest", "lost too often: not all cases have run");
			break;
		}
		ret = run_boot(&h, e);
		client_close(&h.control);
		vm_stop(&h.vm);
		if (ret != 1)
			break;
		ret = 0;
	}
	vm_close(&h.vm);
	return ret;
}
