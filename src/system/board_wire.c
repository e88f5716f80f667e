/* SPDX-License-Identifier: BSD-3-Clause */
/* The words between the host and the board's agent. */
#include "system/board_wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int board_word_send(int fd, const char *fmt, ...)
{
	char word[BOARD_WORD_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(word))
		return -E2BIG;
	return fd_write_full(fd, word, (size_t)n + 1);
}

static int hand_out(char *word, int (*fn)(void *arg, const char *verb, const char *rest), void *arg)
{
	char *space = strchr(word, ' ');

	if (!space)
		return fn(arg, word, "");
	*space = '\0';
	return fn(arg, word, space + 1);
}

int board_words_read(struct board_words *w, int fd,
	int (*fn)(void *arg, const char *verb, const char *rest), void *arg)
{
	ssize_t n = read(fd, w->buf + w->len, sizeof(w->buf) - w->len);
	char *word = w->buf, *end;
	int ret = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	w->len += (size_t)n;
	while (ret >= 0 && (end = memchr(word, 0, w->len))) {
		size_t len = (size_t)(end - word) + 1;

		ret = hand_out(word, fn, arg);
		word += len;
		w->len -= len;
	}
	memmove(w->buf, word, w->len);
	if (ret >= 0 && w->len == sizeof(w->buf))
		return -EPROTO;
	return ret < 0 ? ret : 0;
}
