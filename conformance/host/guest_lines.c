/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial output of a guest, taken apart. */
#include "conformance/host/guest_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/util.h"

#define MARK	  "AVPC "
#define PIPE_SIZE (1 << 20)
/* No number that a guest has to tell is as large. */
#define NUMBER_MAX UINT64_C(1000000000000000000)

/* Names are shown, and part of other lines: they are made of few characters. */
static bool parse_name(struct guest_line *l, const char **args)
{
	size_t len = strspn(*args, "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	if (!len || len >= sizeof(l->name) || ((*args)[len] && (*args)[len] != ' '))
		return false;
	memcpy(l->name, *args, len);
	l->name[len] = '\0';
	*args += len + strspn(*args + len, " ");
	return true;
}

/* Digits, up to a blank or the end. */
static bool parse_number(uint64_t *v, const char **args)
{
	const char *p = *args;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9' && n < NUMBER_MAX; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	if (p == *args || n >= NUMBER_MAX || (*p && *p != ' '))
		return false;
	*v = n;
	*args = p + strspn(p, " ");
	return true;
}

static bool parse_case(struct guest_line *l, const char *args)
{
	char rings[16], verdict[16];
	int at = 0;

	if (!parse_name(l, &args) || sscanf(args, "%15s %15s %n", rings, verdict, &at) < 2)
		return false;
	args += at;
	if (!at || !parse_number(&l->ns, &args))
		return false;
	l->evidence = args;
	return report_rings(rings, &l->rings) && report_verdict(verdict, &l->verdict);
}

static bool parse_begin(struct guest_line *l, const char *args)
{
	return parse_name(l, &args) && parse_number(&l->device, &args) &&
	       parse_number(&l->index, &args);
}

static bool parse_beat(struct guest_beat *b, const char *args)
{
	return parse_number(&b->n, &args) && parse_number(&b->disk, &args) &&
	       parse_number(&b->frames, &args) && parse_number(&b->errors, &args);
}

/* The arguments if the line is of that kind, else NULL. */
static const char *after(const char *line, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(line, word, len) != 0 || (line[len] && line[len] != ' '))
		return NULL;
	return line + len + strspn(line + len, " ");
}

static enum guest_word parse(struct guest_line *l, const char *line)
{
	const char *args;

	if ((args = after(line, "begin")))
		return parse_begin(l, args) ? GUEST_BEGIN : GUEST_TEXT;
	if ((args = after(line, "run")))
		return parse_name(l, &args) ? GUEST_RUN : GUEST_TEXT;
	if ((args = after(line, "case")))
		return parse_case(l, args) ? GUEST_CASE : GUEST_TEXT;
	if (after(line, "end"))
		return GUEST_END;
	if (after(line, "done"))
		return GUEST_DONE;
	if ((args = after(line, "ready")))
		return parse_name(l, &args) ? GUEST_READY : GUEST_TEXT;
	if ((args = after(line, "beat")))
		return parse_beat(&l->beat, args) ? GUEST_BEAT : GUEST_TEXT;
	if ((args = after(line, "bye")))
		return parse_number(&l->writes, &args) ? GUEST_BYE : GUEST_TEXT;
	return GUEST_TEXT;
}

void guest_line_parse(struct guest_line *l)
{
	/* Firmware may leave escape sequences before it. */
	const char *mark = strstr(l->text, MARK);

	l->evidence = "";
	l->word = mark ? parse(l, mark + strlen(MARK)) : GUEST_TEXT;
}

int guest_serial_make(const char *path, struct err *e)
{
	return mkfifo(path, 0600) < 0 ? err_sys(e, -errno, "making the FIFO '%s'", path) : 0;
}

int guest_serial_open(struct guest_serial *s, const char *path, struct err *e)
{
	*s = (struct guest_serial){ .fd = -1, .show = s->show };
	/* Open for writing, too, so that it does not end when a hypervisor does. */
	s->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, -errno, "opening '%s'", path);
	/* A larger pipe only saves waiting, so it may be refused. */
	fcntl(s->fd, F_SETPIPE_SZ, PIPE_SIZE);
	s->last_ns = ev_now_ns();
	return 0;
}

/* Takes `len` bytes of the buffer as a line. */
static void take(struct guest_serial *s, size_t len, struct guest_line *l)
{
	size_t used = len < s->len ? len + 1 : len; /* with its end */

	memcpy(l->text, s->buf, len);
	s->len -= used;
	memmove(s->buf, s->buf + used, s->len);
	while (len && l->text[len - 1] == '\r')
		len--;
	l->text[len] = '\0';
	/* A 0 would end the text early. */
	for (size_t i = 0; i < len; i++)
		if (!l->text[i])
			l->text[i] = '?';
	report_clean(l->text);
	if (s->show)
		fprintf(stderr, "%s\n", l->text);
	guest_line_parse(l);
}

bool guest_serial_next(struct guest_serial *s, struct guest_line *l)
{
	for (;;) {
		const char *end = memchr(s->buf, '\n', s->len);
		ssize_t n;

		if (end || s->len == sizeof(s->buf) - 1) {
			take(s, end ? (size_t)(end - s->buf) : s->len, l);
			return true;
		}
		n = s->fd < 0 ? 0 : read(s->fd, s->buf + s->len, sizeof(s->buf) - 1 - s->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s->len += (size_t)n;
		s->last_ns = ev_now_ns();
	}
}

void guest_serial_drop(struct guest_serial *s)
{
	struct guest_line line;

	while (guest_serial_next(s, &line))
		continue;
	s->len = 0;
}

void guest_serial_close(struct guest_serial *s)
{
	close_fd(&s->fd);
}
