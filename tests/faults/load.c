/* SPDX-License-Identifier: BSD-3-Clause */
/* What verified loads have in common. See load.h. */
#include "load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"

int load_fail(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!*l->why)
		vsnprintf(l->why, sizeof(l->why), fmt, ap);
	va_end(ap);
	return -1;
}

uint32_t load_random(struct load *l)
{
	l->random = l->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(l->random >> 33);
}

int load_open(struct load *l, const struct load_class *cls, uint64_t hidden)
{
	struct err e = { 0 };

	*l = (struct load){ .cls = cls, .random = 42 };
	if (server_init(&l->srv, &e))
		return load_fail(l, "%s", e.msg);
	if (cls->prepare && cls->prepare(l))
		return -1;
	if (server_start(&l->srv, cls->words, cls->keys, cls->nports, &e))
		return load_fail(l, "%s", e.msg);
	for (unsigned i = 0; i < cls->nports; i++)
		if (seat_open(&l->seat[i], l->srv.path[i], cls->id, cls->nqueues, hidden))
			return load_fail(l, "no connection to the device");
	return cls->open(l);
}

bool load_close(struct load *l)
{
	int status;

	if (l->cls->close)
		l->cls->close(l);
	for (unsigned i = 0; i < l->cls->nports; i++)
		seat_close(&l->seat[i]);
	status = server_end(&l->srv);
	free(l->state);
	if (status)
		load_fail(l, "the process ended with %d", status);
	return !status;
}

static uint8_t record_byte(uint64_t number, uint32_t i)
{
	return (uint8_t)((number * 0x9e3779b97f4a7c15u >> 32) + i * 37);
}

void load_record(uint8_t *p, uint32_t len, uint64_t number)
{
	uint64_t head[2] = { number, ev_now_ns() };

	memcpy(p, head, LOAD_RECORD);
	for (uint32_t i = LOAD_RECORD; i < len; i++)
		p[i] = record_byte(number, i);
}

bool load_record_check(const uint8_t *p, uint32_t len, uint64_t *number, uint64_t *time)
{
	if (len < LOAD_RECORD)
		return false;
	memcpy(number, p, 8);
	memcpy(time, p + 8, 8);
	for (uint32_t i = LOAD_RECORD; i < len; i++)
		if (p[i] != record_byte(*number, i))
			return false;
	return true;
}

int load_flow_got(struct load *l, struct load_flow *f, uint64_t number, uint64_t time)
{
	if (number > f->sent)
		return load_fail(l, "number %" PRIu64 " came, which was never sent", number);
	if (number != f->got + 1 && load_calm(l, f->time))
		return load_fail(l, "number %" PRIu64 " came after %" PRIu64, number, f->got);
	if (number > f->got + 1)
		l->lost += number - f->got - 1;
	if (number <= f->got)
		l->twice++;
	if (number > f->got)
		f->got = number;
	f->time = time;
	l->begun = time;
	l->done++;
	return 0;
}

/* "N TIME FILL\n", where the fill is known from the number. */
void load_line(char line[LOAD_LINE], uint64_t number)
{
	int n = snprintf(line, LOAD_LINE, "%016" PRIx64 " %016" PRIx64 " ", number, ev_now_ns());

	for (unsigned i = (unsigned)n; i < LOAD_LINE - 1; i++)
		line[i] = (char)('a' + record_byte(number, i) % 26);
	line[LOAD_LINE - 1] = '\n';
}

static bool line_check(const char line[LOAD_LINE], uint64_t *number, uint64_t *time)
{
	if (sscanf(line, "%16" SCNx64 " %16" SCNx64 " ", number, time) != 2)
		return false;
	for (unsigned i = 34; i < LOAD_LINE - 1; i++)
		if (line[i] != (char)('a' + record_byte(*number, i) % 26))
			return false;
	return true;
}

static int line_ended(struct load *l, struct load_lines *s)
{
	uint64_t number, time;
	int ret = 0;

	if (s->len == LOAD_LINE && line_check(s->part, &number, &time))
		ret = load_flow_got(l, &s->flow, number, time);
	else if (load_calm(l, s->flow.time))
		ret = load_fail(
			l, "%u bytes are no line: '%.*s'", s->len, (int)s->len - 1, s->part);
	else
		l->lost++;
	s->len = 0;
	return ret;
}

int load_lines_got(struct load *l, struct load_lines *s, const char *p, size_t len)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < len; i++) {
		/* Of a line that is too long only the end counts: it is two, one of them cut. */
		if (s->len == LOAD_LINE)
			s->len--;
		s->part[s->len++] = p[i];
		if (p[i] == '\n')
			ret = line_ended(l, s);
	}
	return ret;
}
