/* SPDX-License-Identifier: BSD-3-Clause */
/* Value change dumps. See vcd.h. */
#include "host/vcd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"

#define BUFFER (64u << 10)
/* Characters of identifier codes: all that can be printed (18.2.1). */
#define CODE_FIRST '!'
#define CODES	   94u

struct vcd {
	int fd;
	uint64_t limit, written; /* bytes; written counts what is buffered too */
	uint64_t start_ns, last_ns;
	unsigned nvars;
	bool begun; /* the header is complete */
	int error;  /* why it ended; 0: it goes on */
	bool told;
	size_t used;
	char buf[BUFFER];
};

static void write_out(struct vcd *v)
{
	int r = v->used ? fd_write_full(v->fd, v->buf, v->used) : 0;

	v->used = 0;
	if (r && !v->error)
		v->error = r;
}

static void put(struct vcd *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A piece of text that is written as a whole or, at the limit, not at all. */
static void put(struct vcd *v, const char *fmt, ...)
{
	char text[192];
	va_list args;
	size_t n;

	va_start(args, fmt);
	n = (size_t)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	n = min_u64(n, sizeof(text) - 1);
	if (!v->error && n > v->limit - v->written)
		v->error = -EFBIG;
	if (v->used + n > sizeof(v->buf))
		write_out(v);
	if (v->error && v->error != -EFBIG)
		v->used = 0;
	if (v->error)
		return;
	memcpy(v->buf + v->used, text, n);
	v->used += n;
	v->written += n;
}

/* The identifier code of a variable: its number in base 94. */
static const char *code(unsigned var, char out[8])
{
	unsigned n = 0;

	do {
		out[n++] = (char)(CODE_FIRST + var % CODES);
		var /= CODES;
	} while (var && n < 7);
	out[n] = 0;
	return out;
}

/* A name without what would end it or begin a keyword. */
static const char *clean(const char *name, char out[80])
{
	size_t n = 0;

	for (; name[n] && n < 79; n++)
		out[n] = name[n] > ' ' && name[n] < 127 && name[n] != '$' ? name[n] : '_';
	out[n] = 0;
	return out;
}

int vcd_open(struct vcd **out, const char *path, const char *scope, uint64_t limit, struct err *e)
{
	struct vcd *v = calloc(1, sizeof(*v));
	char text[80];
	int r;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	v->limit = limit;
	v->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (v->fd < 0) {
		r = err_sys(e, -errno, "cannot write the trace %s", path);
		free(v);
		return r;
	}
	put(v, "$version avp " AVP_VERSION " $end\n$timescale 1 ns $end\n$scope module %s $end\n",
		clean(scope, text));
	*out = v;
	return 0;
}

void vcd_close(struct vcd *v)
{
	if (!v)
		return;
	write_out(v);
	close(v->fd);
	free(v);
}

unsigned vcd_variable(struct vcd *v, const char *name)
{
	char id[8], text[80];

	put(v, "$var wire 1 %s %s $end\n", code(v->nvars, id), clean(name, text));
	return v->nvars++;
}

void vcd_begin(struct vcd *v, uint64_t now_ns)
{
	put(v, "$upscope $end\n$enddefinitions $end\n#0\n");
	v->start_ns = v->last_ns = now_ns;
	v->begun = true;
}

void vcd_change(struct vcd *v, unsigned var, char value, uint64_t now_ns)
{
	char id[8];

	if (!v->begun || v->error)
		return;
	if (now_ns > v->last_ns) {
		put(v, "#%" PRIu64 "\n", now_ns - v->start_ns);
		v->last_ns = now_ns;
	}
	put(v, "%c%s\n", value, code(var, id));
}

int vcd_flush(struct vcd *v)
{
	write_out(v);
	if (!v->error || v->told)
		return 0;
	v->told = true;
	return v->error;
}
