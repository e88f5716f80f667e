/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/guest_suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"

#define BOOTS_MAX 16u /* a guest that is lost more often is given up */

static uint64_t seconds(uint32_t s)
{
	return s * UINT64_C(1000000000);
}

static bool until_done(void *ctx, const struct guest_line *l)
{
	struct guest_judge *j = ctx;

	judge_line(j, l);
	return !j->done;
}

/* One boot. 1: the guest was lost in a case, and could go on behind it. */
static int run_boot(const struct guest_suite *s, struct vm *vm, struct guest_judge *j,
	uint64_t deadline, struct err *e)
{
	const struct guest_watch watch = { vm, seconds(s->silence_s), deadline, until_done, NULL,
		j };
	autofree char *words = NULL;
	enum watch_end end;
	char why[240];
	int ret;

	if (asprintf(&words, "%s from=%u", s->words, j->begun) < 0)
		return err_set(e, -ENOMEM, "no memory");
	ret = vm_boot(vm, words, e);
	if (ret)
		return ret;
	end = guest_watch(&watch, why, sizeof(why));
	if (end == WATCH_STOPPED) {
		vm_stop(vm);
		return 0;
	}
	vm_kill(vm);
	return judge_lost(j, why) && end != WATCH_LATE && vm_has_words(vm);
}

int guest_suite_run(const struct guest_suite *s, struct err *e)
{
	uint64_t deadline = ev_now_ns() + seconds(s->time_s);
	struct guest_judge j = { .report = s->report };
	struct vm vm;
	int ret = vm_open(&vm, &s->vm, e);

	for (unsigned boots = 0; !ret; boots++) {
		if (boots == BOOTS_MAX) {
			report_broken(s->report, "guest", "lost too often: not all cases have run");
			break;
		}
		ret = run_boot(s, &vm, &j, deadline, e);
		if (ret != 1)
			break;
		ret = 0;
	}
	vm_close(&vm);
	return ret;
}

/* A power cut in two boots: the guest writes, flushes and says so; everything is killed; the guest
 * looks. */

struct power_cut {
	struct guest_judge j;
	bool ready;
};

static bool until_ready(void *ctx, const struct guest_line *l)
{
	struct power_cut *p = ctx;

	p->ready |= l->word == GUEST_READY;
	judge_line(&p->j, l);
	return !p->ready && !p->j.done;
}

/* False if the run is over: something went wrong, and the report says so. */
static bool phase(const struct guest_suite *s, struct vm *vm, struct power_cut *p, const char *role,
	struct err *e)
{
	const struct guest_watch watch = { vm, seconds(s->silence_s),
		ev_now_ns() + seconds(s->time_s), until_ready, NULL, p };
	autofree char *words = NULL;
	char why[240];

	if (asprintf(&words, "%s role=%s", s->words, role) < 0)
		words = NULL;
	if (!words || vm_boot(vm, words, e)) {
		report_broken(s->report, "blk", words ? e->msg : "no memory");
		return false;
	}
	if (guest_watch(&watch, why, sizeof(why)) == WATCH_STOPPED)
		return true;
	judge_lost(&p->j, why);
	return false;
}

static void cut_power(const struct guest_suite *s, struct vm *vm, struct err *e)
{
	struct power_cut p = { .j = { .report = s->report } };

	if (!phase(s, vm, &p, "persist-write", e))
		return;
	if (p.ready) {
		vm_kill(vm);
		/* It was to be cut off in the middle of its case. */
		p = (struct power_cut){ .j = { .report = s->report } };
		if (!phase(s, vm, &p, "persist-check", e))
			return;
	}
	if (!p.j.verdicts)
		report_broken(s->report, "blk", "no verdict about the power cut");
}

int guest_suite_power_cut(const struct guest_suite *s, struct err *e)
{
	/* The driver library rightly does not believe the packed rings of QEMU up to 10, which lack
	 * the flag that a buffer was written (2.8.3). */
	struct vm_opts opts = s->vm;
	struct vm vm;
	int ret;

	opts.split_only = true;
	ret = vm_open(&vm, &opts, e);
	if (!ret)
		cut_power(s, &vm, e);
	vm_close(&vm);
	return ret;
}
