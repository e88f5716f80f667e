/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the commands of a running system: its supervisor with all that it does, several
 * clients on its control socket, and processes that are only played: they start, say anything and
 * end when the input has them.
 *
 *     again and again   action u8, who u8, length u16, bytes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "fuzz.h"
#include "system/jsonl.h"
#include "system/rundir.h"
#include "system/supervisor_priv.h"

#define CLIENTS 3u
#define HOSTS	4u /* connections that the supervisor made to consoles and vsock devices */
#define ROUNDS	64 /* a system that never comes to rest is a finding */

enum action {
	ACT_RUN,     /* a few rounds of the loop */
	ACT_SEND,    /* bytes of a client */
	ACT_ASK,     /* one request of a client, put together (ask()) */
	ACT_CLOSE,   /* a client goes */
	ACT_SAY,     /* a process sends a message */
	ACT_LINE,    /* a process writes a line */
	ACT_END,     /* a process ends: the first byte is its status, from 128 on a signal */
	ACT_REFUSE,  /* processes can be started no more, or again */
	ACT_TIME,    /* milliseconds u16 pass */
	ACT_ACCEPT,  /* the console's or vsock device's process takes a connection */
	ACT_ANSWER,  /* bytes of its */
	ACT_HANG_UP, /* it goes */
	ACT_COUNT,
};

static const char file[] = "name: fuzz\n"
			   "grace: 2s\n"
			   "vms:\n"
			   "  a:\n"
			   "    boot: {kernel: k}\n"
			   "    memory: 16M\n"
			   "    ready: {console: console0, line: up, timeout: 3s}\n"
			   "    restart: on-failure\n"
			   "    restart-limit: 2\n"
			   "    fallback: c\n"
			   "    devices:\n"
			   "      - {type: console}\n"
			   "      - {type: vsock, cid: 3}\n"
			   "      - {type: net, switch: s}\n"
			   "  b:\n"
			   "    boot: {kernel: k}\n"
			   "    memory: 16M\n"
			   "    after: [a]\n"
			   "    on-failure: system-stop\n"
			   "    devices:\n"
			   "      - {type: console, isolate: false}\n"
			   "      - {type: rng}\n"
			   "  c:\n"
			   "    boot: {kernel: k}\n"
			   "    memory: 16M\n"
			   "    start: manual\n"
			   "    devices: [{type: rng, isolate: false}]\n"
			   "switches: {s: {}}\n";

/* Words that requests are made of: names of the system, and members of docs/control-socket.md. */
static const char *const names[] = { "a", "b", "c", "s", "a/console0", "a/vsock0", "a/net0",
	"b/console0", "b/rng0", "c/rng0", "console0", "vsock0", "fuzz", "" };
static const char *const commands[] = { "ps", "stop", "start", "restart", "pause", "resume",
	"suspend", "wakeup", "logs", "events", "kill", "stats", "tell", "console", "console-size",
	"connect", "shutdown", "none" };
static const char *const members[] = { "id", "vm", "name", "device", "lines", "max", "since",
	"follow", "force", "words", "port", "cols", "rows", "cmd" };

struct bed {
	struct supervisor s;
	bool refuse;
	int clients[CLIENTS];
	int listeners[2]; /* of a console and of a vsock device */
	int hosts[HOSTS];
	char heard[CLIENTS][JSONL_OUT_MAX]; /* the line of each client that is not complete yet */
	size_t len[CLIENTS];
	bool plain[CLIENTS]; /* the connection may have turned into something else */
};

static struct conf *conf;
static struct bed bed;

/* In place of proc.c: processes that only seem to be there. */

int __wrap_proc_start(struct proc *p, struct ev_loop *loop, const struct proc_spec *spec,
	const struct proc_events *events, struct err *e);
void __wrap_proc_signal(struct proc *p, int sig);
int __wrap_proc_send(struct proc *p, const char *word);
int __wrap_proc_send_bytes(struct proc *p, const char *msg, size_t len);
void __wrap_logfile_show(int fd, const char *line, size_t len);

int __wrap_proc_start(struct proc *p, struct ev_loop *loop, const struct proc_spec *spec,
	const struct proc_events *events, struct err *e)
{
	if (p->pid)
		fuzz_fail("%s is started while it runs", spec->argv[1]);
	if (bed.refuse)
		return err_set(e, -EAGAIN, "no process");
	*p = (struct proc){ .pid = 1, .pidfd = -1, .control = -1, .log = -1, .events = events };
	return 0;
}

void __wrap_proc_signal(struct proc *p, int sig)
{
}

int __wrap_proc_send(struct proc *p, const char *word)
{
	return p->pid ? 0 : -ESRCH;
}

int __wrap_proc_send_bytes(struct proc *p, const char *msg, size_t len)
{
	if (memcmp(msg, "tell", sizeof("tell")) != 0 || msg[len - 1])
		fuzz_fail("a process is told what is no command");
	return p->pid ? 0 : -ESRCH;
}

void __wrap_logfile_show(int fd, const char *line, size_t len)
{
}

/* The system. */

static void read_file(void)
{
	struct conf_errors errors = { .n = 0 };
	autofree char *path = fuzz_path("fuzz.yaml");

	if (!path || fuzz_file("fuzz.yaml", file, strlen(file)))
		exit(EXIT_FAILURE);
	if (conf_read(&conf, path, &errors)) {
		conf_errors_print(&errors, stderr);
		exit(EXIT_FAILURE);
	}
}

static int listener(char *path)
{
	int fd = path ? fd_unix_listen(path, SOCK_STREAM, NULL) : -1;

	free(path);
	return fd;
}

static void open_bed(const char *folder)
{
	const struct conf_vm *a = &conf->vms[0];
	struct shortfalls list = { 0 };

	bed.s = (struct supervisor){
		.conf = conf, .run_dir = folder, .log = *fuzz_log(), .signal_fd = -1
	};
	bed.refuse = false;
	if (ev_loop_create(&bed.s.loop) || supervisor_open(&bed.s, NULL) ||
		isolation_open(&bed.s.isolation, conf, false, &list, NULL))
		abort();
	shortfalls_free(&list);
	bed.listeners[0] = listener(plan_console_path(a, &a->devices[0], folder));
	bed.listeners[1] = listener(plan_vsock_path(a, &a->devices[1], folder));
	for (unsigned i = 0; i < CLIENTS; i++)
		bed.clients[i] = -1;
	for (unsigned i = 0; i < HOSTS; i++)
		bed.hosts[i] = -1;
	supervisor_begin(&bed.s);
}

static void close_bed(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		close_fd(&bed.clients[i]);
	for (unsigned i = 0; i < HOSTS; i++)
		close_fd(&bed.hosts[i]);
	close_fd(&bed.listeners[0]);
	close_fd(&bed.listeners[1]);
	supervisor_close(&bed.s);
	ev_loop_destroy(bed.s.loop);
}

/* The clients. */

static void check_line(unsigned client, char *line)
{
	cJSON *msg = cJSON_Parse(line);
	const cJSON *ok = cJSON_GetObjectItemCaseSensitive(msg, "ok");

	if (!cJSON_IsObject(msg) || !(cJSON_IsBool(ok) || jsonl_str(msg, "event")))
		fuzz_fail("neither an answer nor an event: %.200s", line);
	if (cJSON_IsFalse(ok) && !jsonl_str(msg, "error"))
		fuzz_fail("refused without a reason");
	cJSON_Delete(msg);
}

/* Takes what the supervisor sent, line by line. */
static void hear(unsigned i)
{
	char *at = bed.heard[i], *nl;
	size_t room = sizeof(bed.heard[i]) - bed.len[i] - 1;
	ssize_t n = bed.clients[i] < 0 ? 0 : read(bed.clients[i], at + bed.len[i], room);

	if (n <= 0)
		return;
	bed.len[i] += (size_t)n;
	at[bed.len[i]] = 0;
	while (!bed.plain[i] && (nl = strchr(at, '\n'))) {
		*nl = 0;
		check_line(i, at);
		at = nl + 1;
	}
	bed.len[i] = bed.plain[i] ? 0 : bed.len[i] - (size_t)(at - bed.heard[i]);
	memmove(bed.heard[i], at, bed.len[i]);
}

/* The loop goes on until nothing is ready. */
static void settle(void)
{
	int rounds = 0;

	while (ev_run_once(bed.s.loop, 0) > 0)
		if (++rounds == ROUNDS)
			fuzz_fail("the supervisor does not come to rest");
	for (unsigned i = 0; i < CLIENTS; i++)
		hear(i);
}

static int *client(unsigned who)
{
	int *fd = &bed.clients[who % CLIENTS];
	autofree char *path = NULL;

	if (*fd >= 0)
		return fd;
	bed.len[who % CLIENTS] = 0;
	bed.plain[who % CLIENTS] = false;
	if (asprintf(&path, "%s/" RUNDIR_CONTROL, bed.s.run_dir) < 0)
		abort();
	*fd = fd_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, NULL);
	settle();
	return fd;
}

static void send_bytes(unsigned who, const void *data, size_t len)
{
	const int *fd = client(who);

	if (memmem(data, len, "con", 3)) /* console, connect */
		bed.plain[who % CLIENTS] = true;
	if (*fd >= 0)
		send(*fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A value of the kinds that members have, and of others. */
static cJSON *value(struct fuzz_in *in)
{
	uint8_t kind = fuzz_u8(in), n = fuzz_u8(in);
	cJSON *list;

	switch (kind % 8) {
	case 0:
		return cJSON_CreateNumber(n);
	case 1:
		return cJSON_CreateNumber((double)(int32_t)fuzz_u32(in) * n);
	case 2:
		return cJSON_CreateBool(n & 1);
	case 3:
		return cJSON_CreateNull();
	case 4:
		list = cJSON_CreateArray();
		for (unsigned i = 0; i < n && in->left; i++)
			cJSON_AddItemToArray(
				list, cJSON_CreateString(names[fuzz_u8(in) % ARRAY_LEN(names)]));
		return list;
	case 5:
		list = cJSON_CreateObject();
		cJSON_AddItemToObject(list, names[n % ARRAY_LEN(names)], cJSON_CreateTrue());
		return list;
	default:
		return cJSON_CreateString(names[n % ARRAY_LEN(names)]);
	}
}

/* Command u8, then member u8 and value, again and again. */
static void ask(unsigned who, struct fuzz_in *in)
{
	const char *cmd = commands[fuzz_u8(in) % ARRAY_LEN(commands)];
	cJSON *msg = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(msg, "cmd", cmd);
	while (in->left)
		cJSON_AddItemToObject(msg, members[fuzz_u8(in) % ARRAY_LEN(members)], value(in));
	text = cJSON_PrintUnformatted(msg);
	send_bytes(who, text, strlen(text));
	send_bytes(who, "\n", 1);
	cJSON_free(text);
	cJSON_Delete(msg);
}

/* The processes. */

static struct unit *running(unsigned who)
{
	struct unit *u = &bed.s.units[who % bed.s.nunits];

	return u->proc.pid ? u : NULL;
}

static void say(struct unit *u, struct fuzz_in *in)
{
	autofree char *text = fuzz_text(in);
	cJSON *msg = text && u ? cJSON_Parse(text) : NULL;

	if (cJSON_IsObject(msg))
		u->events.message(u->events.arg, msg);
	cJSON_Delete(msg);
}

/* As proc.c hands it over: without newlines and control bytes, of limited length. */
static void write_line(struct unit *u, struct fuzz_in *in)
{
	autofree char *text = fuzz_text(in);

	if (!u || !text || !*text || strlen(text) >= PROC_LINE_MAX)
		return;
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	u->events.line(u->events.arg, text);
}

static void end(struct unit *u, uint8_t status)
{
	if (!u)
		return;
	u->proc.pid = 0;
	u->events.ended(u->events.arg, status < 128 ? status : -(status & 31) - 1);
}

/* The other ends of consoles and vsock connections. */

static void take_connection(unsigned who)
{
	int *fd = &bed.hosts[who % HOSTS];

	if (*fd < 0)
		*fd = accept4(
			bed.listeners[who / HOSTS % 2], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void answer(unsigned who, const struct fuzz_in *in)
{
	char drop[4096];

	if (bed.hosts[who % HOSTS] < 0)
		return;
	while (read(bed.hosts[who % HOSTS], drop, sizeof(drop)) > 0)
		;
	send(bed.hosts[who % HOSTS], in->p, in->left, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void act(uint8_t action, uint8_t who, struct fuzz_in *in)
{
	switch (action % ACT_COUNT) {
	case ACT_SEND:
		send_bytes(who, in->p, in->left);
		break;
	case ACT_ASK:
		ask(who, in);
		break;
	case ACT_CLOSE:
		close_fd(&bed.clients[who % CLIENTS]);
		break;
	case ACT_SAY:
		say(running(who), in);
		break;
	case ACT_LINE:
		write_line(running(who), in);
		break;
	case ACT_END:
		end(running(who), fuzz_u8(in));
		break;
	case ACT_REFUSE:
		bed.refuse = who & 1;
		break;
	case ACT_TIME:
		fuzz_clock_advance(fuzz_u16(in) * UINT64_C(1000000));
		break;
	case ACT_ACCEPT:
		take_connection(who);
		break;
	case ACT_ANSWER:
		answer(who, in);
		break;
	case ACT_HANG_UP:
		close_fd(&bed.hosts[who % HOSTS]);
		break;
	default:
		break;
	}
	settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	autofree char *folder = fuzz_path("run");
	int lock;

	if (!conf)
		read_file();
	lock = folder ? rundir_create(folder, NULL) : -1;
	if (lock < 0)
		abort();
	fuzz_clock_start();
	open_bed(folder);
	settle();
	while (in.left) {
		uint8_t action = fuzz_u8(&in), who = fuzz_u8(&in);
		uint16_t wanted = fuzz_u16(&in);
		size_t n = min_u64(wanted, in.left);
		struct fuzz_in part = { in.p, n };

		in.p += n;
		in.left -= n;
		act(action, who, &part);
	}
	close_bed();
	fuzz_clock_stop();
	rundir_remove(folder, lock);
	return 0;
}
