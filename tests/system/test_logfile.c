/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded files of lines: rotation, reading back, a line that a power failure cut. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "system/logfile.h"
#include "tap.h"

/* What logfile_read() passed. */
struct seen {
	unsigned n;
	unsigned first, last; /* numbers in "line NUMBER" */
	bool in_order;
	char text[64]; /* of the last */
};

static void see(void *arg, const char *line)
{
	struct seen *s = arg;
	unsigned number = 0;

	sscanf(line, "line %u", &number);
	if (!s->n++)
		s->first = number;
	else if (number != s->last + 1)
		s->in_order = false;
	s->last = number;
	snprintf(s->text, sizeof(s->text), "%s", line);
}

static struct seen read_all(const struct logfile *l)
{
	struct seen s = { .in_order = true };

	logfile_read(l->path, see, &s);
	return s;
}

static void write_lines(struct logfile *l, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char line[32];
		int len = snprintf(line, sizeof(line), "line %u\n", i);

		if (logfile_write(l, line, (size_t)len))
			abort();
	}
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

struct paths {
	char folder[32], log[64], old[64];
};

static struct paths make_paths(void)
{
	struct paths p = { .folder = "/tmp/avp-logfile-XXXXXX" };

	if (!mkdtemp(p.folder))
		abort();
	snprintf(p.log, sizeof(p.log), "%s/log", p.folder);
	snprintf(p.old, sizeof(p.old), "%s/log.old", p.folder);
	return p;
}

static void remove_paths(const struct paths *p)
{
	unlink(p->log);
	unlink(p->old);
	rmdir(p->folder);
}

/* Full, it becomes the old one; what is kept is the newest, and neither too much nor too little. */
static void rotation(struct tap *t)
{
	struct paths p = make_paths();
	struct logfile l = { .fd = -1 };
	struct seen s;

	REQUIRE(t, !logfile_open(&l, p.log, 1000, false, NULL));
	write_lines(&l, 0, 10);
	s = read_all(&l);
	CHECK(t, s.n == 10 && s.first == 0 && s.in_order);
	write_lines(&l, 10, 5000);
	s = read_all(&l);
	CHECK(t, s.in_order && s.last == 5009);
	CHECK(t, size_of(p.log) <= 1010 && size_of(p.old) <= 1010);
	CHECK(t, size_of(p.log) + size_of(p.old) >= 1000);
	logfile_close(&l);
	logfile_close(&l);
	remove_paths(&p);
}

static void kept_or_not(struct tap *t)
{
	struct paths p = make_paths();
	struct logfile l = { .fd = -1 };

	REQUIRE(t, !logfile_open(&l, p.log, 1000, true, NULL));
	write_lines(&l, 0, 3);
	logfile_close(&l);
	REQUIRE(t, !logfile_open(&l, p.log, 1000, true, NULL));
	write_lines(&l, 3, 1);
	CHECK_EQ(t, read_all(&l).n, 4);
	logfile_close(&l);
	REQUIRE(t, !logfile_open(&l, p.log, 1000, false, NULL));
	CHECK_EQ(t, read_all(&l).n, 0);
	logfile_close(&l);
	remove_paths(&p);
}

/* The power failed in the middle of a line: it must not swallow the next one. */
static void cut_line(struct tap *t)
{
	struct paths p = make_paths();
	struct logfile l = { .fd = -1 };
	FILE *f = fopen(p.log, "w");
	struct seen s;

	fputs("line 0\nline 1 cut o", f);
	fclose(f);
	REQUIRE(t, !logfile_open(&l, p.log, 1000, true, NULL));
	write_lines(&l, 2, 1);
	s = read_all(&l);
	CHECK(t, s.n == 3 && !strcmp(s.text, "line 2"));
	logfile_close(&l);
	remove_paths(&p);
}

static void refusals(struct tap *t)
{
	struct logfile l = { .fd = -1 };
	struct err e = { 0 };

	CHECK_EQ(t, logfile_open(&l, "/tmp", 1000, true, &e), -EISDIR);
	CHECK(t, strstr(e.msg, "/tmp"));
	CHECK_EQ(t, logfile_open(&l, "/nonexistent/x", 1000, true, &e), -ENOENT);
	CHECK_EQ(t, logfile_open(&l, "/dev/null", 1000, true, &e), -EINVAL);
	CHECK_EQ(t, logfile_write(&l, "x\n", 2), -EBADF);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, rotation);
	TAP_RUN(&t, kept_or_not);
	TAP_RUN(&t, cut_line);
	TAP_RUN(&t, refusals);
	return tap_done(&t);
}
