/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of the control socket. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/util.h"
#include "host/chardev.h"
#include "host/vsock_uds.h"
#include "system/control_priv.h"

#define LOG_LINES_DEFAULT 100
#define LOG_LINES_MAX	  5000
#define EVENTS_MAX	  10000
#define LOG_BYTES_MAX	  (JSONL_OUT_MAX / 4) /* escapes make it longer */
#define TELL_MAX	  4096u
#define DIAL_LIMIT	  (10000 * UINT64_C(1000000))

/* A vsock connection that is being made for a client. */
struct dial {
	struct client *client;
	cJSON *id;
	int fd;
	struct ev_fd watch;
	struct ev_timer limit;
	struct vsock_line line;
	struct dial *next; /* links control->dials */
};

/* One request. */
struct request {
	struct client *client;
	struct supervisor *s;
	const cJSON *msg, *id;
};

static bool is_true(const cJSON *msg, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(msg, name));
}

/* The process named by member `key`. True with *u = NULL if it is absent; false: refused. */
static bool find_unit(const struct request *rq, const char *key, bool vm, struct unit **u)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(rq->msg, key);

	*u = NULL;
	if (!item)
		return true;
	if (cJSON_IsString(item))
		*u = supervisor_find(rq->s, item->valuestring);
	if (*u && (!vm || unit_is_vm(*u)))
		return true;
	control_refuse(rq->client, rq->id, "there is no %s '%.64s' in system %s",
		vm ? "VM" : "process", cJSON_IsString(item) ? item->valuestring : "?",
		rq->s->conf->name);
	return false;
}

/* As above, but it must be given. */
static struct unit *need_vm(const struct request *rq)
{
	struct unit *u;

	if (!find_unit(rq, "vm", true, &u))
		return NULL;
	if (!u)
		control_refuse(rq->client, rq->id, "'vm' is missing: the name of a VM");
	return u;
}

static void describe_vm(cJSON *o, const struct unit *u)
{
	cJSON *list = u->state == UNIT_IDLE && u->wanted ? sequence_waits_for(u) : NULL;

	cJSON_AddBoolToObject(o, "ready", u->is_ready);
	if (list)
		cJSON_AddItemToObject(o, "waits_for", list);
	if (u->failures)
		cJSON_AddNumberToObject(o, "failures", u->failures);
}

static cJSON *describe_unit(const struct unit *u)
{
	cJSON *o = cJSON_CreateObject();
	bool runs = u->proc.pid > 0;

	cJSON_AddStringToObject(o, "name", u->plan->name);
	if (u->plan->device)
		cJSON_AddStringToObject(o, "type", u->plan->device->cls->name);
	if (u->plan->medium)
		cJSON_AddStringToObject(o, "type", u->plan->medium->cls->command);
	cJSON_AddStringToObject(o, "state", unit_state_name(u));
	if (runs) {
		cJSON_AddNumberToObject(o, "pid", u->proc.pid);
		cJSON_AddNumberToObject(
			o, "uptime_ms", (double)((ev_now_ns() - u->started_ns) / 1000000));
	}
	if (unit_is_vm(u)) {
		describe_vm(o, u);
		cJSON_AddNumberToObject(o, "boots", u->starts);
		if (u->boot_us)
			cJSON_AddNumberToObject(o, "boot_ms", (double)u->boot_us / 1e3);
	} else {
		cJSON_AddNumberToObject(o, "restarts", u->starts ? u->starts - 1 : 0);
	}
	if (u->has_ended)
		cJSON_AddNumberToObject(o, "exit", u->exit_status);
	return o;
}

static void cmd_ps(const struct request *rq)
{
	static const char *const arrays[] = {
		[PLAN_MEDIUM] = "media", [PLAN_DEVICE] = "devices", [PLAN_MONITOR] = "vms"
	};
	cJSON *o = cJSON_CreateObject(), *list[ARRAY_LEN(arrays)];

	cJSON_AddStringToObject(o, "name", rq->s->conf->name);
	cJSON_AddNumberToObject(o, "pid", getpid());
	cJSON_AddNumberToObject(
		o, "uptime_ms", (double)((ev_now_ns() - rq->s->start_ns) / 1000000));
	for (unsigned i = 0; i < ARRAY_LEN(arrays); i++)
		list[i] = cJSON_AddArrayToObject(o, arrays[i]);
	for (unsigned i = 0; i < rq->s->nunits; i++)
		cJSON_AddItemToArray(
			list[rq->s->units[i].plan->kind], describe_unit(&rq->s->units[i]));
	control_answer(rq->client, rq->id, o);
}

/* Has the request answered when the VMs have ended; that may be now. */
static void answer_when_over(const struct request *rq, struct unit *u)
{
	struct pending *p = control_defer(rq->client, rq->id, PENDING_STOP, u);

	if (p)
		control_changed(rq->client->c, u);
}

static void cmd_stop(const struct request *rq)
{
	bool force = is_true(rq->msg, "force");
	struct unit *u;

	if (!find_unit(rq, "vm", true, &u))
		return;
	if (u)
		unit_stop(u, force);
	else
		supervisor_stop(rq->s, force);
	answer_when_over(rq, u);
}

/* For tests of what follows: as if the process had crashed. */
static void cmd_kill(const struct request *rq)
{
	struct unit *u;

	if (!find_unit(rq, "name", false, &u))
		return;
	if (!u || !u->proc.pid) {
		control_refuse(rq->client, rq->id, "'name' must be that of a running process");
		return;
	}
	proc_signal(&u->proc, SIGKILL);
	control_answer(rq->client, rq->id, NULL);
}

static void cmd_shutdown(const struct request *rq)
{
	supervisor_stop(rq->s, is_true(rq->msg, "force"));
	answer_when_over(rq, NULL);
}

/* A VM, while the system is not stopping. */
static struct unit *need_live_vm(const struct request *rq)
{
	struct unit *u = need_vm(rq);

	if (!u || rq->s->phase == PHASE_RUN)
		return u;
	control_refuse(rq->client, rq->id, "the system is stopping");
	return NULL;
}

/* Has the request answered when the VM has been started once more. */
static bool answer_when_started(const struct request *rq, struct unit *u)
{
	struct pending *p = control_defer(rq->client, rq->id, PENDING_RESTART, u);

	if (p)
		p->starts = u->starts;
	return p;
}

static void cmd_restart(const struct request *rq)
{
	struct unit *u = need_live_vm(rq);

	if (u && answer_when_started(rq, u))
		guest_restart(u);
}

static void cmd_start(const struct request *rq)
{
	struct unit *u = need_live_vm(rq);

	if (!u)
		return;
	if (!unit_over(u) && (u->state != UNIT_IDLE || u->wanted))
		control_refuse(rq->client, rq->id, "%s is %s", u->plan->name, unit_state_name(u));
	else if (answer_when_started(rq, u))
		guest_want(u);
}

/* Asks for a state of a VM, and has the request answered when it is reached. */
static void reach(const struct request *rq, bool (*ask)(struct unit *u), enum unit_state state)
{
	struct unit *u = need_live_vm(rq);
	struct pending *p;

	if (!u)
		return;
	if (!ask(u)) {
		control_refuse(rq->client, rq->id, "%s is %s", u->plan->name, unit_state_name(u));
		return;
	}
	p = control_defer(rq->client, rq->id, PENDING_REACH, u);
	if (!p)
		return;
	p->reach = state;
	control_changed(rq->client->c, u);
}

static void cmd_pause(const struct request *rq)
{
	reach(rq, guest_pause, UNIT_PAUSED);
}

static void cmd_resume(const struct request *rq)
{
	reach(rq, guest_resume, UNIT_RUNNING);
}

static void cmd_suspend(const struct request *rq)
{
	reach(rq, guest_suspend, UNIT_SUSPENDED);
}

static void cmd_wakeup(const struct request *rq)
{
	reach(rq, guest_wakeup, UNIT_RUNNING);
}

/* Lines of an answer, as many as fit into it. */
struct lines {
	cJSON *list;
	size_t bytes;
};

static void add_line(void *arg, const char *line)
{
	struct lines *l = arg;

	l->bytes += strlen(line);
	if (l->bytes < LOG_BYTES_MAX)
		cJSON_AddItemToArray(l->list, cJSON_CreateString(line));
}

static void cmd_logs(const struct request *rq)
{
	unsigned max = (unsigned)jsonl_num(rq->msg, "lines", LOG_LINES_MAX, LOG_LINES_DEFAULT);
	struct lines lines = { 0 };
	struct unit *u;
	cJSON *o;

	if (!find_unit(rq, "name", false, &u))
		return;
	o = cJSON_CreateObject();
	lines.list = cJSON_AddArrayToObject(o, "lines");
	for (unsigned i = 0; i < rq->s->nunits; i++)
		if (!u || u == &rq->s->units[i])
			unit_log_tail(&rq->s->units[i], max, add_line, &lines);
	control_answer(rq->client, rq->id, o);
	rq->client->follows = is_true(rq->msg, "follow");
	rq->client->follow = u;
}

static void cmd_events(const struct request *rq)
{
	struct events_filter f = { .name = jsonl_str(rq->msg, "name"),
		.since = jsonl_str(rq->msg, "since"),
		.max = (unsigned)jsonl_num(rq->msg, "max", EVENTS_MAX, EVENTS_MAX) };
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToObject(o, "events", events_read(rq->s->events, &f));
	control_answer(rq->client, rq->id, o);
	rq->client->follows_events = is_true(rq->msg, "follow");
	free(rq->client->events_of);
	rq->client->events_of = f.name ? strdup(f.name) : NULL;
}

static void cmd_stats(const struct request *rq)
{
	struct pending *p;
	struct unit *u;
	bool any = false;

	if (!find_unit(rq, "name", false, &u))
		return;
	p = control_defer(rq->client, rq->id, PENDING_STATS, NULL);
	for (unsigned i = 0; p && i < rq->s->nunits; i++) {
		struct unit *v = &rq->s->units[i];

		if ((u && u != v) || unit_is_vm(v) || v->state != UNIT_RUNNING ||
			proc_send(&v->proc, "stats"))
			continue;
		cJSON_AddNullToObject(p->stats, v->plan->name);
		any = true;
	}
	if (p && !any)
		ev_timer_set(&p->limit, 0);
}

/* Who serves the device that `name` means, if it is no process of its own: its medium, or the VM's
 * monitor; NULL: nobody of ours. `prefix` gets the words that lead to it. */
static struct unit *find_server(struct supervisor *s, const char *name, const char *prefix[2])
{
	const char *slash = strchr(name, '/');

	for (unsigned v = 0; slash && v < s->conf->nvms; v++) {
		const struct conf_vm *vm = &s->conf->vms[v];

		for (unsigned i = 0; i < vm->ndevices; i++) {
			const struct conf_device *d = &vm->devices[i];
			const struct conf_medium *m = conf_medium_of(s->conf, d);

			if (strncmp(vm->name, name, (size_t)(slash - name)) != 0 ||
				vm->name[slash - name] || strcmp(d->name, slash + 1) != 0 ||
				d->socket)
				continue;
			prefix[0] = m ? "port" : d->name;
			prefix[1] = m ? name : NULL;
			return supervisor_find(s, m ? m->name : vm->name);
		}
	}
	return NULL;
}

/* Appends a word and its zero byte; false: no room. */
static bool put_word(char *buf, size_t size, size_t *len, const char *word)
{
	size_t n = strlen(word) + 1;

	if (n > size - *len)
		return false;
	memcpy(buf + *len, word, n);
	*len += n;
	return true;
}

/* "tell", the token and all words. Returns bytes; 0: too many. */
static size_t write_tell(
	char *buf, size_t size, uint64_t token, const char *const prefix[2], const cJSON *words)
{
	char number[24];
	const cJSON *item;
	size_t len = 0;
	bool fits;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)token);
	fits = put_word(buf, size, &len, "tell") && put_word(buf, size, &len, number);
	for (unsigned i = 0; i < 2 && prefix[i]; i++)
		fits = fits && put_word(buf, size, &len, prefix[i]);
	cJSON_ArrayForEach(item, words)
	{
		if (cJSON_IsString(item))
			fits = fits && put_word(buf, size, &len, item->valuestring);
	}
	return fits ? len : 0;
}

static void cmd_tell(const struct request *rq)
{
	const cJSON *words = cJSON_GetObjectItemCaseSensitive(rq->msg, "words");
	const char *name = jsonl_str(rq->msg, "name"), *prefix[2] = { NULL, NULL };
	struct unit *u = name ? supervisor_find(rq->s, name) : NULL;
	char buf[TELL_MAX];
	struct pending *p;
	size_t len;

	if (name && !u)
		u = find_server(rq->s, name, prefix);
	if (!u || (unit_is_vm(u) && !prefix[0])) {
		control_refuse(rq->client, rq->id,
			"'name' must be a device or a medium of system %s (avp ps), not '%.64s'",
			rq->s->conf->name, name ? name : "");
		return;
	}
	if (!cJSON_IsArray(words) || !words->child) {
		control_refuse(rq->client, rq->id, "'words' takes a list of words");
		return;
	}
	p = control_defer(rq->client, rq->id, PENDING_TELL, u);
	len = p ? write_tell(buf, sizeof(buf), p->token, prefix, words) : 0;
	if (!p || (len && !proc_send_bytes(&u->proc, buf, len)))
		return;
	control_refuse(rq->client, rq->id, "%s %s", u->plan->name,
		len ? "does not run" : "takes no command of that length");
	pending_drop(rq->client->c, p);
}

/* The console device that the request means; NULL: refused. */
static const struct conf_device *find_console(const struct request *rq, const struct unit *u)
{
	const char *name = jsonl_str(rq->msg, "device");
	const struct conf_vm *vm = u->plan->vm;

	for (unsigned i = 0; i < vm->ndevices; i++) {
		const struct conf_device *d = &vm->devices[i];

		if (name ? !strcmp(d->name, name) : !strcmp(d->cls->name, "console"))
			return d;
	}
	control_refuse(rq->client, rq->id, "%s has no console%s%.64s", vm->name, name ? " " : "",
		name ? name : "");
	return NULL;
}

/* The console's socket, and who serves it: a process of its own, or the VM's monitor. NULL:
 * refused. */
static char *console_path(const struct request *rq, struct unit **server)
{
	struct unit *u = need_vm(rq);
	const struct conf_device *d = u ? find_console(rq, u) : NULL;
	char *path = d ? plan_console_path(u->plan->vm, d, rq->s->run_dir) : NULL;
	char name[2 * CONF_NAME_MAX + 2];

	if (d && !path)
		control_refuse(rq->client, rq->id, "%s/%s is no socket on the host (host: socket)",
			u->plan->name, d->name);
	if (!path)
		return NULL;
	snprintf(name, sizeof(name), "%s/%s", u->plan->name, d->name);
	*server = d->isolate ? supervisor_find(rq->s, name) : u;
	return path;
}

void control_console(struct client *cl, const cJSON *id, const char *path)
{
	struct err e = { 0 };
	/* A process that has stopped accepting must not stop the supervisor, too. */
	int fd = fd_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &e);

	if (fd < 0)
		control_refuse(cl, id, "%s", e.msg);
	else
		control_splice(cl, id, fd);
}

/* A console whose process is still starting is waited for. */
static void cmd_console(const struct request *rq)
{
	struct unit *server = NULL;
	autofree char *path = console_path(rq, &server);
	struct pending *p;

	if (!path)
		return;
	if (!server || (server->state != UNIT_IDLE && server->state != UNIT_STARTING &&
			       server->state != UNIT_WAITING)) {
		control_console(rq->client, rq->id, path);
		return;
	}
	p = control_defer(rq->client, rq->id, PENDING_CONSOLE, server);
	if (p)
		p->path = steal_ptr(&path);
}

static void cmd_console_size(const struct request *rq)
{
	unsigned cols = (unsigned)jsonl_num(rq->msg, "cols", 65535, 0);
	unsigned rows = (unsigned)jsonl_num(rq->msg, "rows", 65535, 0);
	struct unit *server = NULL;
	autofree char *path = console_path(rq, &server);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	autoclose int fd = -1;
	char text[32];
	int n;

	if (!path)
		return;
	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s.size", path);
	if (!cols || !rows || n >= (int)sizeof(to.sun_path)) {
		control_refuse(
			rq->client, rq->id, "'cols' and 'rows' take numbers from 1 to 65535");
		return;
	}
	n = snprintf(text, sizeof(text), CHARDEV_SIZE_FORMAT, cols, rows);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (void *)&to, sizeof(to)) < 0)
		control_refuse(rq->client, rq->id, "%s takes no size: %s", path, strerror(errno));
	else
		control_answer(rq->client, rq->id, NULL);
}

static void dial_drop(struct control *c, struct dial *d)
{
	struct dial **at = &c->dials;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	ev_fd_del(&d->watch);
	ev_timer_stop(&d->limit);
	close_fd(&d->fd);
	cJSON_Delete(d->id);
	free(d);
}

void control_dials_drop(struct control *c, const struct client *cl)
{
	for (struct dial *d = c->dials, *next; d; d = next) {
		next = d->next;
		if (!cl || d->client == cl)
			dial_drop(c, d);
	}
}

static void dial_refused(struct dial *d, const char *why)
{
	control_refuse(d->client, d->id, "no connection: %s", why);
	dial_drop(d->client->c, d);
}

static void on_dial_limit(void *arg)
{
	dial_refused(arg, "the guest does not answer");
}

/* The device's answer: one line, and not a byte beyond it. */
static void on_dial(void *arg, uint32_t events)
{
	struct dial *d = arg;
	struct client *cl = d->client;
	int r = vsock_line_read(&d->line, d->fd, VIRTIO_VSOCK_TYPE_STREAM);
	cJSON *id;
	int fd;

	if (r == 0)
		return;
	if (r < 0 || strncmp(d->line.text, "OK ", 3) != 0) {
		dial_refused(d, "nobody listens to that port in the guest");
		return;
	}
	fd = steal_fd(&d->fd);
	ev_fd_del(&d->watch);
	id = steal_ptr(&d->id);
	dial_drop(cl->c, d);
	control_splice(cl, id, fd);
	cJSON_Delete(id);
}

static const struct conf_device *find_vsock(const struct conf_vm *vm)
{
	for (unsigned i = 0; i < vm->ndevices; i++)
		if (!strcmp(vm->devices[i].cls->name, "vsock"))
			return &vm->devices[i];
	return NULL;
}

static void start_dial(const struct request *rq, int fd, unsigned port)
{
	struct control *c = rq->client->c;
	struct dial *d = calloc(1, sizeof(*d));

	if (!d) {
		close(fd);
		control_refuse(rq->client, rq->id, "out of memory");
		return;
	}
	*d = (struct dial){ .client = rq->client, .fd = fd, .next = c->dials };
	d->id = rq->id ? cJSON_Duplicate(rq->id, true) : NULL;
	c->dials = d;
	ev_timer_init(rq->s->loop, &d->limit, on_dial_limit, d);
	ev_timer_set(&d->limit, DIAL_LIMIT);
	if (vsock_line_send(fd, "CONNECT %u", port) ||
		ev_fd_add(rq->s->loop, &d->watch, fd, EPOLLIN, on_dial, d))
		dial_refused(d, "the vsock device does not take it");
}

static void cmd_connect(const struct request *rq)
{
	const struct unit *u = need_vm(rq);
	const struct conf_device *d = u ? find_vsock(u->plan->vm) : NULL;
	double port = jsonl_num(rq->msg, "port", UINT32_MAX, -1);
	autofree char *path = NULL;
	struct err e = { 0 };
	int fd;

	if (!u)
		return;
	path = d ? plan_vsock_path(u->plan->vm, d, rq->s->run_dir) : NULL;
	if (!path || port < 0) {
		control_refuse(rq->client, rq->id,
			path ? "'port' takes a number up to 4294967295"
			     : "this VM has no vsock device of ours");
		return;
	}
	fd = fd_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &e);
	if (fd < 0)
		control_refuse(rq->client, rq->id, "%s", e.msg);
	else
		start_dial(rq, fd, (unsigned)port);
}

static const struct {
	const char *name;
	void (*run)(const struct request *rq);
} commands[] = {
	{ "ps", cmd_ps },
	{ "stop", cmd_stop },
	{ "start", cmd_start },
	{ "restart", cmd_restart },
	{ "pause", cmd_pause },
	{ "resume", cmd_resume },
	{ "suspend", cmd_suspend },
	{ "wakeup", cmd_wakeup },
	{ "logs", cmd_logs },
	{ "events", cmd_events },
	{ "kill", cmd_kill },
	{ "stats", cmd_stats },
	{ "tell", cmd_tell },
	{ "console", cmd_console },
	{ "console-size", cmd_console_size },
	{ "connect", cmd_connect },
	{ "shutdown", cmd_shutdown },
};

void control_command(struct client *cl, const cJSON *msg)
{
	const char *cmd = jsonl_str(msg, "cmd");
	struct request rq = { .client = cl, .s = cl->c->s, .msg = msg };

	rq.id = cJSON_GetObjectItemCaseSensitive(msg, "id");
	if (rq.id && !cJSON_IsNumber(rq.id) && !cJSON_IsString(rq.id))
		rq.id = NULL;
	for (unsigned i = 0; cmd && i < ARRAY_LEN(commands); i++) {
		if (!strcmp(commands[i].name, cmd)) {
			commands[i].run(&rq);
			return;
		}
	}
	control_refuse(
		cl, rq.id, "unknown command '%.64s' (docs/control-socket.md)", cmd ? cmd : "");
}
