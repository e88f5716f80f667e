/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that is given only a part of the time: its processors are held in turns. */
#include <errno.h>
#include <stdlib.h>

#include "cli/monitor.h"

#define PERIOD_NS UINT64_C(20000000)

static void on_turn(void *arg)
{
	struct monitor_throttle *t = arg;
	uint64_t run_ns = PERIOD_NS / 100 * t->percent;

	t->holds = !t->holds;
	vm_hold(t->vm, VM_HOLD_THROTTLE, t->holds);
	ev_timer_set(&t->timer, t->holds ? PERIOD_NS - run_ns : run_ns);
}

void monitor_throttle_init(struct monitor_throttle *t, struct vm *vm, struct ev_loop *loop)
{
	*t = (struct monitor_throttle){ .vm = vm, .percent = 100 };
	ev_timer_init(loop, &t->timer, on_turn, t);
}

int monitor_throttle_set(struct monitor_throttle *t, const char *percent)
{
	char *end;
	unsigned long n = strtoul(percent, &end, 10);

	if (end == percent || *end || n < 1 || n > 100)
		return -EINVAL;
	t->percent = (unsigned)n;
	if (n < 100) {
		if (!t->timer.armed)
			on_turn(t);
		return 0;
	}
	monitor_throttle_stop(t);
	t->holds = false;
	vm_hold(t->vm, VM_HOLD_THROTTLE, false);
	return 0;
}

void monitor_throttle_stop(struct monitor_throttle *t)
{
	if (t->vm)
		ev_timer_stop(&t->timer);
}
