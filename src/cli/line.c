/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/line.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

#define ANSWER_MAX  15000u /* text of an answer; with escapes it stays below the next one */
#define MESSAGE_MAX 16384u /* what the supervisor reads as one message */

void line_say(const struct line *l, const char *msg)
{
	if (l->out >= 0)
		send(l->out, msg, strlen(msg), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_json(const struct line *l, cJSON *msg)
{
	char *text = msg ? cJSON_PrintUnformatted(msg) : NULL;

	if (text && strlen(text) <= MESSAGE_MAX)
		line_say(l, text);
	else
		line_say(l, "{\"event\":\"error\",\"reason\":\"the answer is too long\"}");
	cJSON_free(text);
	cJSON_Delete(msg);
}

void line_event(const struct line *l, const char *name, const char *event, const char *detail)
{
	cJSON *msg;

	if (l->out < 0)
		return;
	msg = cJSON_CreateObject();
	cJSON_AddStringToObject(msg, "event", event);
	if (name)
		cJSON_AddStringToObject(msg, "device", name);
	cJSON_AddStringToObject(msg, "detail", detail);
	say_json(l, msg);
}

static void on_device_event(
	struct vdev_watcher *w, const struct vdev *dev, const char *event, const char *detail)
{
	const struct line *l = container_of(w, struct line, watcher);

	line_event(l, l->name_of ? l->name_of(l->arg, dev) : NULL, event, detail);
}

static void answer_stats(const struct line *l)
{
	autofree char *body = NULL, *msg = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&body, &len);

	if (f && l->ops->stats)
		l->ops->stats(l->arg, f);
	if (!f || fclose(f))
		return;
	if (len <= ANSWER_MAX &&
		asprintf(&msg, "{\"event\":\"stats\",\"counters\":{%s}}", body) < 0)
		msg = NULL;
	line_say(l, msg ? msg : "{\"event\":\"stats\",\"counters\":{}}");
}

/* Takes "WORD\0WORD\0..." apart. Returns their number; those that are too many are left out. */
static unsigned split(char *text, size_t len, char **words)
{
	unsigned n = 0;

	text[len] = '\0';
	for (size_t at = 0; at < len && n < LINE_WORDS_MAX; at += strlen(text + at) + 1)
		words[n++] = text + at;
	return n;
}

/* "tell", a number that goes with the answer, words. */
static void answer_command(const struct line *l, unsigned n, char **words)
{
	autofree char *text = NULL;
	struct err e = { 0 };
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	cJSON *msg = cJSON_CreateObject();
	int ret = f ? 0 : err_set(&e, -ENOMEM, "out of memory");

	if (!ret && n < 3)
		ret = err_set(&e, -EINVAL, "no words to obey");
	if (!ret && !l->ops->command)
		ret = err_set(&e, -EOPNOTSUPP, "it takes no commands");
	if (!ret)
		ret = l->ops->command(l->arg, n - 2, words + 2, f, &e);
	if (f && fclose(f) && !ret)
		ret = err_set(&e, -ENOMEM, "out of memory");
	if (text && len > ANSWER_MAX)
		text[ANSWER_MAX] = '\0';
	cJSON_AddStringToObject(msg, "event", "told");
	cJSON_AddStringToObject(msg, "token", n > 1 ? words[1] : "");
	cJSON_AddStringToObject(msg, ret ? "error" : "text", ret ? e.msg : text ? text : "");
	say_json(l, msg);
}

static void on_request(void *arg, uint32_t events)
{
	struct line *l = arg;
	char text[LINE_REQUEST_MAX + 1], *words[LINE_WORDS_MAX];
	ssize_t len = recv(l->in, text, LINE_REQUEST_MAX, MSG_DONTWAIT);
	unsigned n;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		ev_fd_del(&l->watch);
		if (l->ops->closed)
			l->ops->closed(l->arg);
		return;
	}
	n = split(text, (size_t)len, words);
	if (!strcmp(words[0], "stats")) {
		answer_stats(l);
	} else if (!strcmp(words[0], "tell")) {
		answer_command(l, n, words);
	} else {
		log_warn(l->log, "unknown command on the control descriptor");
		line_say(l, "{\"event\":\"error\",\"reason\":\"unknown command\"}");
	}
}

int line_open(struct line *l, struct ev_loop *loop, int in, int out, const struct line_ops *ops,
	void *arg, const struct log *log, struct err *e)
{
	int ret;

	l->in = in;
	l->out = out;
	l->ops = ops;
	l->arg = arg;
	l->log = log;
	l->watcher.event = on_device_event;
	ret = ev_fd_add(loop, &l->watch, in, EPOLLIN, on_request, l);
	return ret ? err_sys(e, ret, "watching the control descriptor %d", in) : 0;
}

void line_close(struct line *l)
{
	ev_fd_del(&l->watch);
	l->out = -1;
}

void line_device_stats(const struct vdev *dev, FILE *f)
{
	const struct vdev_metric *m = dev->cls->metrics;

	for (unsigned i = 0; m && m[i].name; i++) {
		uint64_t v;

		memcpy(&v, (const char *)dev + m[i].offset, sizeof(v));
		fprintf(f, "%s\"%s\":%llu", i ? "," : "", m[i].name, (unsigned long long)v);
	}
}

int line_device_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	if (!dev->cls->command)
		return err_set(e, -EOPNOTSUPP, "a %s device takes no commands", dev->cls->name);
	return dev->cls->command(dev, argc, argv, answer, e);
}
