/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: clients, answers, and requests that wait (docs/control-socket.md). */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/control_priv.h"
#include "system/rundir.h"

#define CLIENTS_MAX 32u
#define REACH_LIMIT (30000 * UINT64_C(1000000)) /* a guest may be slow to suspend itself */
#define STATS_LIMIT (2000 * UINT64_C(1000000))
#define TELL_LIMIT  (5000 * UINT64_C(1000000))

static void send_answer(struct client *cl, const cJSON *id, cJSON *msg)
{
	if (id)
		cJSON_AddItemToObject(msg, "id", cJSON_Duplicate(id, true));
	jsonl_send_take(cl->j, msg);
}

void control_answer(struct client *cl, const cJSON *id, cJSON *result)
{
	cJSON *msg = cJSON_CreateObject();

	cJSON_AddTrueToObject(msg, "ok");
	cJSON_AddItemToObject(msg, "result", result ? result : cJSON_CreateObject());
	send_answer(cl, id, msg);
}

void control_refuse(struct client *cl, const cJSON *id, const char *fmt, ...)
{
	cJSON *msg = cJSON_CreateObject();
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cJSON_AddFalseToObject(msg, "ok");
	cJSON_AddStringToObject(msg, "error", text);
	send_answer(cl, id, msg);
}

void pending_drop(struct control *c, struct pending *p)
{
	struct pending **at = &c->pending;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	ev_timer_stop(&p->limit);
	cJSON_Delete(p->id);
	cJSON_Delete(p->stats);
	free(p->path);
	free(p);
}

static void finish_stats(struct pending *p)
{
	control_answer(p->client, p->id, steal_ptr(&p->stats));
	pending_drop(p->client->c, p);
}

/* From the loop and not from where the state changed, because the client goes with it. */
static void finish_console(struct pending *p)
{
	autofree char *path = steal_ptr(&p->path);
	cJSON *id = steal_ptr(&p->id);
	struct client *cl = p->client;

	pending_drop(cl->c, p);
	control_console(cl, id, path);
	cJSON_Delete(id);
}

static void refuse_late(struct pending *p)
{
	control_refuse(p->client, p->id, "%s has not done so within %u s; it is %s",
		p->unit->plan->name, (unsigned)(REACH_LIMIT / UINT64_C(1000000000)),
		unit_state_name(p->unit));
	pending_drop(p->client->c, p);
}

static void refuse_silent(struct pending *p)
{
	control_refuse(p->client, p->id, "%s has not answered within %u s", p->unit->plan->name,
		(unsigned)(TELL_LIMIT / UINT64_C(1000000000)));
	pending_drop(p->client->c, p);
}

static void on_limit(void *arg)
{
	struct pending *p = arg;

	if (p->kind == PENDING_STATS)
		finish_stats(p);
	else if (p->kind == PENDING_TELL)
		refuse_silent(p);
	else if (p->kind == PENDING_REACH)
		refuse_late(p);
	else
		finish_console(p);
}

struct pending *control_defer(
	struct client *cl, const cJSON *id, enum pending_kind kind, struct unit *unit)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (!p) {
		control_refuse(cl, id, "out of memory");
		return NULL;
	}
	*p = (struct pending){ .client = cl, .kind = kind, .unit = unit, .next = cl->c->pending };
	p->id = id ? cJSON_Duplicate(id, true) : NULL;
	ev_timer_init(cl->c->s->loop, &p->limit, on_limit, p);
	if (kind == PENDING_STATS) {
		p->stats = cJSON_CreateObject();
		ev_timer_set(&p->limit, STATS_LIMIT);
	}
	if (kind == PENDING_REACH)
		ev_timer_set(&p->limit, REACH_LIMIT);
	if (kind == PENDING_TELL) {
		p->token = ++cl->c->tokens;
		ev_timer_set(&p->limit, TELL_LIMIT);
	}
	cl->c->pending = p;
	return p;
}

static void drop_client(struct client *cl)
{
	struct control *c = cl->c;
	struct client **at = &c->clients;

	for (struct pending *p = c->pending, *next; p; p = next) {
		next = p->next;
		if (p->client == cl)
			pending_drop(c, p);
	}
	control_dials_drop(c, cl);
	while (*at != cl)
		at = &(*at)->next;
	*at = cl->next;
	c->nclients--;
	jsonl_close(cl->j);
	free(cl->events_of);
	free(cl);
}

void control_splice(struct client *cl, const cJSON *id, int fd)
{
	char *rest = malloc(JSONL_LINE_MAX);
	struct control *c = cl->c;
	size_t len = 0;
	int client_fd;

	if (!rest) {
		close(fd);
		control_refuse(cl, id, "out of memory");
		return;
	}
	control_answer(cl, id, NULL);
	client_fd = jsonl_detach(cl->j, rest, &len);
	cl->j = NULL;
	drop_client(cl);
	/* What came after the request's line is the first of the stream; a fresh socket takes it.
	 */
	if (len && send(fd, rest, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len) {
		close(fd);
		close(client_fd);
	} else {
		relay_open(&c->relays, c->s->loop, client_fd, fd);
	}
	free(rest);
}

static void on_message(void *arg, const cJSON *msg)
{
	if (msg)
		control_command(arg, msg);
	else
		drop_client(arg);
}

/* Only who could have started the system may control it. */
static bool is_allowed(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       (who.uid == geteuid() || who.uid == 0);
}

static void on_connection(void *arg, uint32_t events)
{
	struct control *c = arg;
	autoclose int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *cl;

	if (fd < 0)
		return;
	if (c->nclients == CLIENTS_MAX || !is_allowed(fd)) {
		log_warn(&c->s->log, "control socket: connection refused: %s",
			c->nclients == CLIENTS_MAX ? "too many" : "another user");
		return;
	}
	cl = calloc(1, sizeof(*cl));
	if (!cl)
		return;
	cl->c = c;
	if (jsonl_open(&cl->j, c->s->loop, steal_fd(&fd), on_message, cl)) {
		free(cl);
		return;
	}
	cl->next = c->clients;
	c->clients = cl;
	c->nclients++;
}

int control_open(struct control **out, struct supervisor *s, struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	autofree char *path = NULL;
	int r;

	if (!c || asprintf(&path, "%s/" RUNDIR_CONTROL, s->run_dir) < 0) {
		path = NULL;
		free(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->s = s;
	c->listener = fd_unix_listen(path, SOCK_STREAM, e);
	r = c->listener;
	if (r >= 0)
		r = ev_fd_add(s->loop, &c->watch, c->listener, EPOLLIN, on_connection, c);
	if (r < 0) {
		close_fd(&c->listener);
		free(c);
		return e && e->code ? r : err_sys(e, r, "cannot watch the control socket");
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		drop_client(c->clients);
	relays_close(&c->relays);
	ev_fd_del(&c->watch);
	close_fd(&c->listener);
	free(c);
}

/* Answers a request that is fulfilled now, or never will be. */
static void check_pending(struct control *c, struct pending *p)
{
	const struct unit *u = p->unit;

	if (p->kind == PENDING_CONSOLE && u->state == UNIT_RUNNING) {
		ev_timer_set(&p->limit, 0);
		return;
	}
	if (p->kind == PENDING_STOP && (u ? unit_over(u) : sequence_guests_over(c->s)))
		control_answer(p->client, p->id, NULL);
	else if (p->kind == PENDING_RESTART && u->state == UNIT_RUNNING && u->starts > p->starts)
		control_answer(p->client, p->id, NULL);
	else if (p->kind == PENDING_REACH && u->state == p->reach)
		control_answer(p->client, p->id, NULL);
	else if (p->kind != PENDING_STOP && unit_over(u))
		control_refuse(p->client, p->id, "%s has ended instead", u->plan->name);
	else
		return;
	pending_drop(c, p);
}

void control_changed(struct control *c, struct unit *u)
{
	if (!c)
		return;
	for (struct pending *p = c->pending, *next; p; p = next) {
		next = p->next;
		if (p->kind != PENDING_STATS && (!p->unit || p->unit == u))
			check_pending(c, p);
	}
}

void control_line(struct control *c, struct unit *u, const char *line)
{
	if (!c)
		return;
	for (struct client *cl = c->clients; cl; cl = cl->next) {
		cJSON *msg;

		if (!cl->follows || (cl->follow && cl->follow != u))
			continue;
		msg = cJSON_CreateObject();
		cJSON_AddStringToObject(msg, "event", "log");
		cJSON_AddStringToObject(msg, "line", line);
		jsonl_send_take(cl->j, msg);
	}
}

void control_event(struct control *c, const cJSON *event)
{
	for (struct client *cl = c ? c->clients : NULL; cl; cl = cl->next) {
		cJSON *msg;

		if (!cl->follows_events || !events_is_of(event, cl->events_of))
			continue;
		msg = cJSON_CreateObject();
		cJSON_AddStringToObject(msg, "event", "event");
		cJSON_AddItemToObject(msg, "entry", cJSON_Duplicate(event, true));
		jsonl_send_take(cl->j, msg);
	}
}

/* True if all that were asked have answered. */
static bool stats_complete(const struct pending *p)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, p->stats) if (cJSON_IsNull(item)) return false;
	return true;
}

void control_stats(struct control *c, struct unit *u, const cJSON *counters)
{
	if (!c)
		return;
	for (struct pending *p = c->pending, *next; p; p = next) {
		next = p->next;
		if (p->kind != PENDING_STATS ||
			!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(p->stats, u->plan->name)))
			continue;
		cJSON_ReplaceItemInObjectCaseSensitive(p->stats, u->plan->name,
			cJSON_IsObject(counters) ? cJSON_Duplicate(counters, true)
						 : cJSON_CreateObject());
		if (stats_complete(p))
			finish_stats(p);
	}
}

void control_told(struct control *c, struct unit *u, const cJSON *msg)
{
	const char *token = jsonl_str(msg, "token"), *error = jsonl_str(msg, "error");
	uint64_t number = token ? strtoull(token, NULL, 10) : 0;
	struct pending *p = c ? c->pending : NULL;
	const char *text = jsonl_str(msg, "text");
	cJSON *result;

	while (p && (p->kind != PENDING_TELL || p->unit != u || p->token != number))
		p = p->next;
	if (!p)
		return;
	if (error) {
		control_refuse(p->client, p->id, "%s: %s", u->plan->name, error);
	} else {
		result = cJSON_CreateObject();
		cJSON_AddStringToObject(result, "text", text ? text : "");
		control_answer(p->client, p->id, result);
	}
	pending_drop(c, p);
}
