/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that are killed. See server.h. */
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"

#define FIRST_FD 100 /* of what the process inherits */
#define WAIT_MS	 60000

extern char **environ;

/* A copy of `word` with the folder in it. */
static char *expand(const struct server *s, const char *word)
{
	const char *at = strstr(word, "{dir}");
	char *text = NULL;

	if (!at)
		return strdup(word);
	if (asprintf(&text, "%.*s%s%s", (int)(at - word), word, s->dir, at + 5) < 0)
		return NULL;
	return text;
}

static int spawn(struct server *s, struct err *e)
{
	posix_spawn_file_actions_t fds;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "socket pair");
	posix_spawn_file_actions_init(&fds);
	posix_spawn_file_actions_adddup2(&fds, pair[1], FIRST_FD);
	for (unsigned i = 0; i < s->nports; i++)
		posix_spawn_file_actions_adddup2(&fds, s->listener[i], FIRST_FD + 1 + (int)i);
	ret = posix_spawn(&s->pid, s->argv[0], &fds, NULL, s->argv, environ);
	posix_spawn_file_actions_destroy(&fds);
	close(pair[1]);
	close_fd(&s->control);
	if (ret) {
		close(pair[0]);
		s->pid = 0;
		return err_sys(e, -ret, "starting %s", s->argv[0]);
	}
	s->control = pair[0];
	return 0;
}

static int listen_on(struct server *s, struct err *e)
{
	for (unsigned i = 0; i < s->nports; i++) {
		char path[sizeof(s->path[i])];

		snprintf(path, sizeof(path), "%s/port%u", s->dir, i);
		memcpy(s->path[i], path, sizeof(path));
		s->listener[i] = fd_unix_listen(s->path[i], SOCK_STREAM, e);
		if (s->listener[i] < 0)
			return s->listener[i];
	}
	return 0;
}

static void add(struct server *s, unsigned *n, const char *word)
{
	if (*n < SERVER_ARGS)
		s->argv[(*n)++] = expand(s, word);
}

static void arguments(struct server *s, const char *const *words, const char *const *keys)
{
	char number[16];
	unsigned n = 0;

	add(s, &n, getenv("AVP"));
	for (unsigned i = 0; words[i]; i++)
		add(s, &n, words[i]);
	snprintf(number, sizeof(number), "%d", FIRST_FD);
	add(s, &n, "--control-fd");
	add(s, &n, number);
	if (!keys) {
		snprintf(number, sizeof(number), "%d", FIRST_FD + 1);
		add(s, &n, "--fd");
		add(s, &n, number);
		return;
	}
	for (unsigned i = 0; i < s->nports; i++) {
		snprintf(s->port[i], sizeof(s->port[i]), "name=p%u,fd=%u%s%s", i, FIRST_FD + 1 + i,
			keys[i] ? "," : "", keys[i] ? keys[i] : "");
		add(s, &n, "--port");
		add(s, &n, s->port[i]);
	}
}

int server_init(struct server *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->control = -1;
	for (unsigned i = 0; i < SERVER_PORTS; i++)
		s->listener[i] = -1;
	strcpy(s->dir, "/tmp/avp-faults-XXXXXX");
	return mkdtemp(s->dir) ? 0 : err_sys(e, -errno, "folder %s", s->dir);
}

int server_start(struct server *s, const char *const *words, const char *const *keys,
	unsigned nports, struct err *e)
{
	int ret;

	if (!getenv("AVP"))
		return err_set(e, -EINVAL, "the environment has no AVP, the program to test");
	s->nports = nports;
	ret = listen_on(s, e);
	if (ret)
		return ret;
	arguments(s, words, keys);
	ret = spawn(s, e);
	return ret ? ret : server_hear(s, "ready", e);
}

int server_kill(struct server *s, struct err *e)
{
	int status = 0;

	kill(s->pid, SIGKILL);
	waitpid(s->pid, &status, 0);
	s->pid = 0;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return err_set(e, -ECHILD, "it had ended by itself (wait status %d)", status);
	return 0;
}

int server_replace(struct server *s, struct err *e)
{
	return spawn(s, e);
}

int server_again(struct server *s, struct err *e)
{
	int status = 0, ret;

	if (waitpid(s->pid, &status, WNOHANG) != s->pid)
		return 0;
	s->pid = 0;
	if (!WIFEXITED(status) || !WEXITSTATUS(status))
		return err_set(e, -ECHILD, "it ended by itself (wait status %d)", status);
	ret = spawn(s, e);
	return ret ? ret : 1;
}

int server_hear(struct server *s, const char *text, struct err *e)
{
	struct pollfd p = { .fd = s->control, .events = POLLIN };
	char msg[16384];
	ssize_t n;

	while (poll(&p, 1, WAIT_MS) == 1) {
		n = recv(s->control, msg, sizeof(msg) - 1, MSG_DONTWAIT);
		if (n <= 0)
			return err_set(e, -EPIPE, "'%s %s' ended", s->argv[0], s->argv[1]);
		msg[n] = '\0';
		if (strstr(msg, text))
			return 0;
	}
	return err_set(e, -ETIMEDOUT, "'%s %s' does not say '%s'", s->argv[0], s->argv[1], text);
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	char file[512];
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

int server_end(struct server *s)
{
	int status = 0;

	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		waitpid(s->pid, &status, 0);
	}
	close_fd(&s->control);
	for (unsigned i = 0; i < s->nports; i++)
		close_fd(&s->listener[i]);
	for (unsigned i = 0; s->argv[i]; i++)
		free(s->argv[i]);
	if (*s->dir)
		remove_folder(s->dir);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
