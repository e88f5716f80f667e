/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON lines over a stream socket. */
#include "system/jsonl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"

#define READ_SIZE 4096u

struct jsonl {
	struct ev_loop *loop;
	struct ev_fd watch;
	int fd;
	jsonl_fn fn;
	void *arg;
	char *in; /* bytes of an unfinished line, and of those after it */
	size_t in_len, in_cap;
	char *out; /* bytes the socket did not take yet */
	size_t out_len, out_cap;
	bool in_callback;
	bool ended;  /* the owner was told */
	bool closed; /* by the owner, in a callback */
};

static void destroy(struct jsonl *j)
{
	ev_fd_del(&j->watch);
	close_fd(&j->fd);
	free(j->in);
	free(j->out);
	free(j);
}

/* Tells the owner; true if the connection is gone afterwards. */
static bool deliver(struct jsonl *j, const cJSON *msg)
{
	j->in_callback = true;
	j->fn(j->arg, msg);
	j->in_callback = false;
	if (!j->closed)
		return false;
	destroy(j);
	return true;
}

static void end(struct jsonl *j)
{
	if (j->ended)
		return;
	j->ended = true;
	ev_fd_del(&j->watch);
	deliver(j, NULL);
}

/* Room for `more` bytes after `len`, so that a 0 fits behind them. */
static int reserve(char **buf, size_t *cap, size_t len, size_t more)
{
	size_t want = *cap ? *cap : READ_SIZE;
	char *bigger;

	while (want < len + more + 1)
		want *= 2;
	if (want == *cap)
		return 0;
	bigger = realloc(*buf, want);
	if (!bigger)
		return -ENOMEM;
	*buf = bigger;
	*cap = want;
	return 0;
}

/* Sends what waits. Returns 0 or -errno. */
static int flush_out(struct jsonl *j)
{
	while (j->out_len) {
		ssize_t n = send(j->fd, j->out, j->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		memmove(j->out, j->out + n, j->out_len - (size_t)n);
		j->out_len -= (size_t)n;
	}
	return 0;
}

static void watch_events(struct jsonl *j)
{
	if (!j->ended)
		ev_fd_mod(&j->watch, EPOLLIN | (j->out_len ? EPOLLOUT : 0u));
}

/* Hands over the first complete line. 1: there was one; 0: there is none; -1: the connection ended.
 */
static int take_line(struct jsonl *j)
{
	char *nl = memchr(j->in, '\n', j->in_len);
	cJSON *msg;
	bool gone;

	if (!nl)
		return j->in_len > JSONL_LINE_MAX ? -1 : 0;
	*nl = 0;
	msg = cJSON_ParseWithOpts(j->in, NULL, true); /* nothing may follow it */
	j->in_len -= (size_t)(nl + 1 - j->in);
	memmove(j->in, nl + 1, j->in_len);
	if (!cJSON_IsObject(msg)) {
		cJSON_Delete(msg);
		return -1;
	}
	/* The message must outlive the connection if that is closed in the function. */
	gone = deliver(j, msg);
	cJSON_Delete(msg);
	return gone ? -2 : 1;
}

static void on_readable(struct jsonl *j)
{
	ssize_t n;
	int r;

	if (reserve(&j->in, &j->in_cap, j->in_len, READ_SIZE)) {
		end(j);
		return;
	}
	n = recv(j->fd, j->in + j->in_len, READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(j);
		return;
	}
	j->in_len += (size_t)n;
	do
		r = take_line(j);
	while (r > 0);
	if (r == -1)
		end(j);
}

static void on_event(void *arg, uint32_t events)
{
	struct jsonl *j = arg;

	if (events & EPOLLOUT) {
		if (flush_out(j)) {
			end(j);
			return;
		}
		watch_events(j);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		on_readable(j);
}

int jsonl_open(struct jsonl **out, struct ev_loop *loop, int fd, jsonl_fn fn, void *arg)
{
	struct jsonl *j = calloc(1, sizeof(*j));
	int r;

	if (!j) {
		close(fd);
		return -ENOMEM;
	}
	*j = (struct jsonl){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
	r = fd_nonblock(fd);
	if (!r)
		r = ev_fd_add(loop, &j->watch, fd, EPOLLIN, on_event, j);
	if (r) {
		destroy(j);
		return r;
	}
	*out = j;
	return 0;
}

void jsonl_close(struct jsonl *j)
{
	if (!j)
		return;
	flush_out(j);
	if (j->in_callback) {
		j->closed = true;
		ev_fd_del(&j->watch);
		return;
	}
	destroy(j);
}

static int queue(struct jsonl *j, const char *text, size_t len)
{
	int r;

	if (j->ended || j->closed)
		return -EPIPE;
	if (j->out_len + len + 1 > JSONL_OUT_MAX) {
		/* The owner hears of it from the loop, since it is in the middle of something. */
		shutdown(j->fd, SHUT_RDWR);
		return -ENOBUFS;
	}
	r = reserve(&j->out, &j->out_cap, j->out_len, len + 1);
	if (r)
		return r;
	memcpy(j->out + j->out_len, text, len);
	j->out[j->out_len + len] = '\n';
	j->out_len += len + 1;
	r = flush_out(j);
	watch_events(j);
	return r;
}

int jsonl_send(struct jsonl *j, const cJSON *msg)
{
	char *text = cJSON_PrintUnformatted(msg);
	int r;

	if (!text)
		return -ENOMEM;
	r = queue(j, text, strlen(text));
	cJSON_free(text);
	return r;
}

int jsonl_send_take(struct jsonl *j, cJSON *msg)
{
	int r = msg ? jsonl_send(j, msg) : -ENOMEM;

	cJSON_Delete(msg);
	return r;
}

int jsonl_detach(struct jsonl *j, void *rest, size_t *len)
{
	int fd = j->fd;

	ev_fd_del(&j->watch);
	*len = min_u64(j->in_len, JSONL_LINE_MAX);
	if (*len)
		memcpy(rest, j->in, *len);
	j->fd = -1;
	j->out_len = 0;
	jsonl_close(j);
	return fd;
}

const char *jsonl_str(const cJSON *msg, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(msg, name));
}

double jsonl_num(const cJSON *msg, const char *name, double max, double def)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(msg, name);
	double v;

	if (!cJSON_IsNumber(item))
		return def;
	v = item->valuedouble;
	return v >= 0 && v <= max && v == (double)(long long)v ? v : def;
}
