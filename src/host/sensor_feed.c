/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of sensors from other processes, a line each (docs/sensors.md):
 *
 *     speed 13.9                    one value for each axis, in the sensor's unit
 *     accel 0.1 -0.2 9.81 @12.250   with the time of the measurement
 *     speed gone no reply           the sensor has failed
 *
 * Processes connect to the set's socket. The helper that reads the host's sensors is one more such
 * process, at a pair of sockets.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/exe.h"
#include "base/fd.h"
#include "base/util.h"
#include "host/sensor_priv.h"

#define FROM_SOCKET (1u << SENSOR_SOCKET)
#define FROM_HELPER (1u << SENSOR_IIO | 1u << SENSOR_HWMON)
/* Bytes read from a process before other work of the loop gets a turn. */
#define TURN_MAX 4096u
/* Words before the sensors on the helper's command line, and the end. */
#define HELPER_WORDS   9u
#define HELPER_FD      3
#define HELPER_FD_TEXT "3"

/* Answers to a process; whoever does not read them misses them. */
static void answer(struct sensor_feed *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void answer(struct sensor_feed *f, const char *fmt, ...)
{
	char line[SENSOR_LINE_MAX + 128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(line))
		fd_send(f->fd, line, (size_t)n, NULL, 0);
}

/* Says why a line is dropped; false. */
static bool complain(struct sensor_feed *f, const char *what, const char *text)
{
	answer(f, "error %s: %.60s\n", what, text);
	if (log_allowed(&f->complaints, 2))
		log_warn(f->set->log, "a line of a sensor process was dropped: %s: %.60s", what,
			text);
	return false;
}

/* All sensors whose last value came from this process are gone with it. */
static void drop(struct sensor_feed *f, const char *why)
{
	ev_fd_del(&f->watch);
	close_fd(&f->fd);
	for (struct sensor *s = f->set->first; s; s = s->next)
		if (s->feed == f)
			sensor_lost(s, why);
}

/* Lines. */

/* Cuts the next word off; NULL at the end. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");

	if (!*word)
		return NULL;
	*rest = word + strcspn(word, " \t");
	if (**rest)
		*(*rest)++ = 0;
	return word;
}

static bool parse_time(const char *word, uint64_t *time_ns)
{
	const char *end;

	return *word == '@' && !replay_parse_seconds(word + 1, &end, time_ns) && !*end && *time_ns;
}

static bool take_values(struct sensor_feed *f, struct sensor *s, char *word, char *rest)
{
	int64_t value[SENSOR_AXES_MAX];
	uint64_t time_ns = 0;
	const char *end;

	for (unsigned i = 0; i < s->config->axes; i++, word = next_word(&rest)) {
		if (!word)
			return complain(f, "a value is missing", s->config->name);
		if (sensor_parse_value(word, s->config->exponent, &value[i], &end) || *end)
			return complain(f, "not a value", word);
	}
	if (word && !parse_time(word, &time_ns))
		return complain(f, "not a time, as in @12.5", word);
	if (word && next_word(&rest))
		return complain(
			f, "more words than a value for each axis and a time", s->config->name);
	sensor_push(s, value, time_ns, f);
	return true;
}

/* True if the line was right. */
static bool take_line(struct sensor_feed *f, char *line)
{
	char *name = next_word(&line), *word;
	struct sensor *s;

	if (!name || *name == '#')
		return true;
	s = sensors_find(f->set, name, f->sources);
	if (!s)
		return complain(f, "there is no sensor with such a source", name);
	word = next_word(&line);
	if (!word || strcmp(word, "gone"))
		return take_values(f, s, word, line);
	sensor_lost(s, *line ? line : "its process says so");
	return true;
}

static void take_byte(struct sensor_feed *f, char c)
{
	if (c != '\n') {
		if (f->len == sizeof(f->line) - 1)
			f->skipping = true;
		else
			f->line[f->len++] = c;
		return;
	}
	if (f->len && f->line[f->len - 1] == '\r')
		f->len--;
	f->line[f->len] = 0;
	if (f->skipping)
		complain(f, "the line is too long", f->line);
	else
		take_line(f, f->line);
	f->len = 0;
	f->skipping = false;
}

static void on_feed(void *arg, uint32_t events)
{
	struct sensor_feed *f = arg;
	char buf[TURN_MAX];
	ssize_t n = recv(f->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		drop(f, n < 0 ? strerror(errno) : "its process has ended");
	for (ssize_t i = 0; i < n; i++)
		take_byte(f, buf[i]);
}

/* Connections. */

/* What a process may give, so that it can be written without knowing the system file. */
static void greet(struct sensor_feed *f)
{
	for (const struct sensor *s = f->set->first; s; s = s->next) {
		const char *unit = sensor_unit_name(s->config->unit);

		if (f->sources & 1u << s->config->source)
			answer(f, "sensor %s axes=%u unit=%s\n", s->config->name, s->config->axes,
				unit ? unit : "other");
	}
}

/* Takes over `fd`; NULL: no room, or the loop refuses. */
static struct sensor_feed *add_feed(struct sensors *set, int fd, unsigned sources)
{
	struct sensor_feed *f = NULL;

	for (unsigned i = 0; i < SENSOR_FEEDS_MAX && !f; i++)
		if (set->feeds[i].fd < 0)
			f = &set->feeds[i];
	if (!f || ev_fd_add(set->loop, &f->watch, fd, EPOLLIN, on_feed, f)) {
		close(fd);
		return NULL;
	}
	f->set = set;
	f->fd = fd;
	f->sources = sources;
	f->len = 0;
	f->skipping = false;
	return f;
}

static void on_connection(void *arg, uint32_t events)
{
	struct sensors *set = arg;
	int fd = accept4(set->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct sensor_feed *f = fd < 0 ? NULL : add_feed(set, fd, FROM_SOCKET);

	if (f)
		greet(f);
	else if (fd >= 0)
		log_warn(set->log, "%s: refused, %u processes are connected already",
			set->config->socket, SENSOR_FEEDS_MAX);
}

static int listen_at(struct sensors *set, const char *path, struct err *e)
{
	int ret;

	set->listener = fd_unix_listen(path, SOCK_STREAM, e);
	if (set->listener < 0)
		return set->listener;
	ret = fd_nonblock(set->listener);
	if (!ret)
		ret = ev_fd_add(
			set->loop, &set->listening, set->listener, EPOLLIN, on_connection, set);
	return ret ? err_sys(e, ret, "cannot watch the socket %s", path) : 0;
}

/* The helper: `avp sensors --fd N --sysfs ROOT --clock CLOCK --sensor TEXT ...`. */

/* It gets its socket as HELPER_FD and none of the descriptors that this process was given. */
static int spawn_helper(char **argv, int socket, struct err *e)
{
	posix_spawn_file_actions_t actions;
	char path[PATH_MAX];
	pid_t child;
	int ret = exe_find("avp", path, e);

	if (ret)
		return ret;
	argv[0] = path;
	ret = -posix_spawn_file_actions_init(&actions);
	if (ret)
		return err_sys(e, ret, "cannot start %s", path);
	ret = -posix_spawn_file_actions_adddup2(&actions, socket, HELPER_FD);
	if (!ret)
		ret = -posix_spawn_file_actions_addclosefrom_np(&actions, HELPER_FD + 1);
	if (!ret)
		ret = -posix_spawn(&child, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return ret ? err_sys(e, ret, "cannot start %s, which reads the host's sensors", path) : 0;
}

/* It ends by itself when its socket is closed, however we ended; nobody waits for it, since a
 * jailed process could not. */
static int start_helper(struct sensors *set, unsigned n, struct err *e)
{
	autofree char **argv = calloc(HELPER_WORDS + 2 * n, sizeof(*argv));
	autoclose int ours = -1, its = -1;
	const char *root = set->config->sysfs;
	unsigned at = 1;
	int pair[2], ret;

	if (!argv || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, -ENOMEM, "cannot make a pair of sockets for the host's sensors");
	ours = pair[0];
	its = pair[1];
	argv[at++] = (char *)"sensors";
	argv[at++] = (char *)"--fd";
	argv[at++] = (char *)HELPER_FD_TEXT;
	argv[at++] = (char *)"--sysfs";
	argv[at++] = (char *)(root ? root : "/sys");
	argv[at++] = (char *)"--clock";
	argv[at++] = (char *)sensor_clock_words[set->config->time_stamps];
	for (const struct sensor *s = set->first; s; s = s->next) {
		if (!(FROM_HELPER & 1u << s->config->source))
			continue;
		argv[at++] = (char *)"--sensor";
		argv[at++] = (char *)s->config->text;
	}
	ret = spawn_helper(argv, its, e);
	if (!ret && !add_feed(set, steal_fd(&ours), FROM_HELPER))
		ret = err_set(e, -ENOMEM, "cannot watch the process that reads the host's sensors");
	return ret;
}

/* The set. */

void feeds_init(struct sensors *set)
{
	set->listener = -1;
	for (unsigned i = 0; i < SENSOR_FEEDS_MAX; i++)
		set->feeds[i] = (struct sensor_feed){ .set = set, .fd = -1 };
}

static unsigned count(const struct sensors *set, unsigned sources)
{
	unsigned n = 0;

	for (const struct sensor *s = set->first; s; s = s->next)
		n += !!(sources & 1u << s->config->source);
	return n;
}

int feeds_open(struct sensors *set, struct err *e)
{
	const char *path = set->config->socket;
	unsigned helped = count(set, FROM_HELPER);
	int ret = 0;

	if (!path && count(set, FROM_SOCKET))
		return err_set(e, -EINVAL,
			"a sensor has source=socket, but no socket is named: sensor-socket: PATH");
	if (path)
		ret = listen_at(set, path, e);
	return !ret && helped ? start_helper(set, helped, e) : ret;
}

void feeds_close(struct sensors *set)
{
	for (unsigned i = 0; i < SENSOR_FEEDS_MAX; i++) {
		ev_fd_del(&set->feeds[i].watch);
		close_fd(&set->feeds[i].fd);
	}
	ev_fd_del(&set->listening);
	close_fd(&set->listener);
}
