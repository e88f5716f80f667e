/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guests of the gateway example have in common. See signals.h. */
#include "guests/ecu/signals.h"

#define LINE_MAX 120u

struct line {
	char text[LINE_MAX + 2]; /* with the ends of line and text */
	uint32_t len;
};

static void put(struct line *l, char c)
{
	if (l->len < LINE_MAX)
		l->text[l->len++] = c;
}

static void put_text(struct line *l, const char *s)
{
	while (*s)
		put(l, *s++);
}

/* With at least `digits` digits. */
static void put_number(struct line *l, uint64_t v, unsigned digits)
{
	char buf[20];
	unsigned n = 0;

	do {
		buf[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v || n < digits);
	while (n)
		put(l, buf[--n]);
}

static void put_hundredths(struct line *l, int64_t v)
{
	uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;

	if (v < 0)
		put(l, '-');
	put_number(l, magnitude / 100, 1);
	put(l, '.');
	put_number(l, magnitude % 100, 2);
}

static void put_time(struct line *l, uint64_t ns)
{
	put_number(l, ns / SECOND, 1);
	put(l, '.');
	put_number(l, ns % SECOND, 9);
}

void tell(struct teller *t, const char *fmt, ...)
{
	struct line l = { .len = 0 };
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	put_text(&l, t->name);
	put_text(&l, ": ");
	for (; *fmt; fmt++) {
		if (*fmt != '%' || !fmt[1]) {
			put(&l, *fmt);
			continue;
		}
		if (*++fmt == 's')
			put_text(&l, __builtin_va_arg(ap, const char *));
		else if (*fmt == 'h')
			put_hundredths(&l, __builtin_va_arg(ap, int64_t));
		else if (*fmt == 't')
			put_time(&l, __builtin_va_arg(ap, uint64_t));
		else
			put_number(&l, __builtin_va_arg(ap, uint64_t), 1);
	}
	__builtin_va_end(ap);
	l.text[l.len++] = '\n';
	if (!t->has_console || drv_console_write(&t->console, 0, l.text, l.len)) {
		l.text[l.len] = 0;
		bare_put(l.text);
	}
}

void teller_open(struct teller *t, const char *name, struct bare_info *info,
	struct bare_virtio_list *devices)
{
	struct bare_virtio *v;

	bare_virtio_find(devices, info, DEVICE_MEMORY);
	v = bare_virtio_get(devices, DRV_ID_CONSOLE, 0);
	t->name = name;
	t->has_console = v && !drv_console_open(&t->console, v->dev, 1);
}

int open_can(struct drv_can *can, struct bare_virtio_list *devices, unsigned n)
{
	struct bare_virtio *v = bare_virtio_get(devices, DRV_ID_CAN, n);
	int r = v ? drv_can_open(can, v->dev) : DRV_GONE;

	return r ? r : drv_can_start(can);
}

int failed(struct teller *t, const char *what, int result)
{
	tell(t, "%s failed (-%u)", what, (uint64_t) - (int64_t)result);
	return result;
}
