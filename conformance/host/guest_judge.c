/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/guest_judge.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"

#define TICK_MS	      100
#define LINES_AT_ONCE 1000u
#define VERDICTS_MAX  20000u

static const struct cf_case *find_case(const char *name)
{
	for (unsigned t = 0; cf_case_tables[t]; t++)
		for (const struct cf_case *k = cf_case_tables[t]; k->name; k++)
			if (!strcmp(k->name, name))
				return k;
	return NULL;
}

static void name_target(struct guest_judge *j, const struct guest_line *l)
{
	static const struct {
		uint64_t id;
		const char *name;
	} classes[] = { { 0, "platform" }, { 1, "net" }, { 2, "blk" }, { 3, "console" },
		{ 4, "rng" }, { 17, "rtc" }, { 18, "input" }, { 19, "vsock" }, { 34, "i2c" },
		{ 32, "scmi" }, { 36, "can" }, { 41, "gpio" }, { 45, "spi" } };
	char name[16], number[12] = "";

	snprintf(name, sizeof(name), "id%u", (unsigned)min_u64(l->device, 9999));
	for (unsigned i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].id == l->device)
			snprintf(name, sizeof(name), "%s", classes[i].name);
	if (l->index)
		snprintf(number, sizeof(number), "%u", (unsigned)min_u64(l->index, 9999));
	snprintf(j->target, sizeof(j->target), "%s%s", name, number);
	snprintf(j->transport, sizeof(j->transport), "%.15s", l->name);
}

/* Whatever a guest says, the report stays small enough to be written and read. */
static void add(struct guest_judge *j, const struct report_result *r)
{
	if (j->verdicts > VERDICTS_MAX)
		return;
	if (j->verdicts++ == VERDICTS_MAX) {
		report_broken(j->report, "guest", "more verdicts than there can be");
		return;
	}
	report_add(j->report, r);
	snprintf(j->last, sizeof(j->last), "%s", r->name);
}

static void note_text(struct guest_judge *j, const struct guest_line *l)
{
	if (*l->text)
		snprintf(j->said, sizeof(j->said), "%.159s", l->text);
}

/* Only of the case that is running. */
static void take_verdict(struct guest_judge *j, const struct guest_line *l)
{
	const struct report_result r = {
		.target = j->target,
		.transport = j->transport,
		.name = l->name,
		.proves = report_proves(l->name),
		.rings = l->rings,
		.verdict = l->verdict,
		.ns = l->ns,
		.evidence = l->evidence,
	};

	if (strcmp(l->name, j->running) != 0 || (j->split_done && l->rings != REPORT_PACKED)) {
		note_text(j, l);
		return;
	}
	add(j, &r);
	if (l->rings == REPORT_SPLIT)
		j->split_done = true;
	else
		j->running[0] = '\0';
}

static void begin_case(struct guest_judge *j, const char *name)
{
	snprintf(j->running, sizeof(j->running), "%s", name);
	j->split_done = false;
	j->begun++;
}

/* What begins has a verdict before the next thing begins. */
static void end_case(struct guest_judge *j)
{
	if (*j->running)
		judge_lost(j, "the guest goes on without a verdict");
}

void judge_line(struct guest_judge *j, const struct guest_line *l)
{
	switch (l->word) {
	case GUEST_BEGIN:
		end_case(j);
		name_target(j, l);
		j->any = true;
		break;
	case GUEST_RUN:
		end_case(j);
		begin_case(j, l->name);
		break;
	case GUEST_CASE:
		take_verdict(j, l);
		break;
	case GUEST_DONE:
		end_case(j);
		j->done = true;
		break;
	case GUEST_END:
		end_case(j);
		break;
	case GUEST_TEXT:
		note_text(j, l);
		break;
	case GUEST_READY:
	case GUEST_BEAT:
	case GUEST_BYE:
	default:
		break;
	}
}

bool judge_lost(struct guest_judge *j, const char *why)
{
	const struct cf_case *k = find_case(j->running);
	char text[512];
	const struct report_result r = {
		.target = j->target,
		.transport = j->transport,
		.name = j->running,
		.proves = report_proves(j->running),
		.rings = !k || !(k->flags & CF_RINGS) ? REPORT_NO_RINGS
			 : j->split_done	      ? REPORT_PACKED
						      : REPORT_SPLIT,
		.verdict = CF_FAIL,
		.evidence = text,
	};
	bool running = *j->running;

	snprintf(text, sizeof(text), "%s%s%s%s%s", why, *j->last && !running ? " after " : "",
		running ? "" : j->last, *j->said ? "; last words: " : "", j->said);
	if (running)
		add(j, &r);
	else
		report_broken(j->report, j->any ? j->target : "guest", text);
	j->running[0] = '\0';
	j->said[0] = '\0';
	return running;
}

/* False if the receiver has enough. */
static bool hand_out(const struct guest_watch *w)
{
	struct guest_line line;

	/* A guest that never stops talking must not keep us from looking at the clock. */
	for (unsigned i = 0; i < LINES_AT_ONCE && guest_serial_next(&w->vm->serial, &line); i++)
		if (!w->line(w->ctx, &line))
			return false;
	return true;
}

static enum watch_end look(const struct guest_watch *w, char *why, size_t size)
{
	struct pollfd signals = { .fd = w->vm->opts->signals, .events = POLLIN };
	bool ended = child_ended(&w->vm->child);
	uint64_t now;

	/* In this order, so that nothing that was said before the end gets lost. */
	if (!hand_out(w) || (w->tick && !w->tick(w->ctx)))
		return WATCH_STOPPED;
	if (ended) {
		char fate[80], said[160] = "";

		child_fate(&w->vm->child, fate, sizeof(fate));
		if (vm_is_avp(w->vm))
			vm_last_message(w->vm, said, sizeof(said));
		snprintf(why, size, "the guest is gone: '%s' %s%s%s", w->vm->args.v[0], fate,
			*said ? "; it said: " : "", said);
		return WATCH_ENDED;
	}
	if (poll(&signals, 1, 0) > 0) {
		snprintf(why, size, "stopped by a signal");
		return WATCH_LATE;
	}
	now = ev_now_ns();
	if (now - w->vm->serial.last_ns > w->silence_ns) {
		snprintf(why, size, "the guest hangs: no output for %u s",
			(unsigned)(w->silence_ns / 1000000000));
		return WATCH_SILENT;
	}
	if (now > w->deadline_ns) {
		snprintf(why, size, "the time for the whole run is over");
		return WATCH_LATE;
	}
	return WATCH_ON;
}

enum watch_end guest_watch(const struct guest_watch *w, char *why, size_t size)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = w->vm->serial.fd, .events = POLLIN },
			{ .fd = w->vm->neighbour.fd, .events = POLLIN },
			{ .fd = w->vm->opts->signals, .events = POLLIN } };
		enum watch_end end = look(w, why, size);

		if (end != WATCH_ON)
			return end;
		poll(fds, ARRAY_LEN(fds), TICK_MS);
	}
}
