/* SPDX-License-Identifier: BSD-3-Clause */
/* Verified boot: asking avp-verify. */
#include "machine/boot_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/exe.h"
#include "base/util.h"

#define VERIFIER     "avp-verify"
#define EXIT_REFUSED 14 /* of the verifier */
#define ANSWER_MAX   16384u
#define ARGS	     6u /* before the items */
#define ARG_MAX	     64u

/* One question to the verifier. */
struct question {
	const char *verb, *vm;
	uint64_t version;
	int key, manifest; /* descriptors, -1: none */
	const struct boot_items *items;
};

/* Its command line. */
struct command {
	char text[ARGS + BOOT_ITEMS_MAX][ARG_MAX];
	char *argv[ARGS + BOOT_ITEMS_MAX + 1];
};

static void add_fd(char arg[static ARG_MAX], const char *what, int fd)
{
	snprintf(arg, ARG_MAX, "%s%s%d", what, *what ? "=" : "", fd);
}

static void make_command(struct command *c, const struct question *q)
{
	unsigned n = ARGS + q->items->n;

	snprintf(c->text[0], ARG_MAX, VERIFIER);
	snprintf(c->text[1], ARG_MAX, "%s", q->verb);
	snprintf(c->text[3], ARG_MAX, "%" PRIu64, q->version);
	add_fd(c->text[4], "", q->key);
	add_fd(c->text[5], "", q->manifest);
	for (unsigned i = 0; i < q->items->n; i++)
		add_fd(c->text[ARGS + i], q->items->v[i].what, q->items->v[i].fd);
	for (unsigned i = 0; i < n; i++)
		c->argv[i] = c->text[i];
	c->argv[2] = (char *)q->vm;
	c->argv[n] = NULL;
}

/* Lets the process have a descriptor, by the number that it has here. */
static int hand_down(posix_spawn_file_actions_t *actions, int fd)
{
	return fd < 0 ? 0 : -posix_spawn_file_actions_adddup2(actions, fd, fd);
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct question *q, int out)
{
	int rc = -posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);

	if (!rc)
		rc = hand_down(actions, q->key);
	if (!rc)
		rc = hand_down(actions, q->manifest);
	for (unsigned i = 0; !rc && i < q->items->n; i++)
		rc = hand_down(actions, q->items->v[i].fd);
	return rc;
}

/* The process, with its standard output in `out` and no signal blocked; or -errno. */
static pid_t spawn(const char *path, const struct question *q, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	struct command c;
	sigset_t none;
	pid_t pid;
	int rc;

	make_command(&c, q);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = add_actions(&actions, q, out);
	if (!rc)
		rc = -posix_spawn(&pid, path, &actions, &attr, c.argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc ? rc : pid;
}

/* Everything that comes, up to ANSWER_MAX bytes, as a string. */
static char *read_answer(int fd)
{
	autofree char *text = malloc(ANSWER_MAX + 1);
	size_t len = 0;
	ssize_t n = 1;

	while (text && n && len < ANSWER_MAX) {
		n = read(fd, text + len, ANSWER_MAX - len);
		if (n < 0 && errno != EINTR)
			return NULL;
		len += n > 0 ? (size_t)n : 0;
	}
	if (text)
		text[len] = 0;
	return steal_ptr(&text);
}

/* Its exit status, or -1 if it did not end by itself. */
static int wait_for(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	return r == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What it answered goes to *answer: owned by the caller, also on failure NULL or valid. */
static int ask(const struct question *q, char **answer, struct err *e)
{
	autoclose int out = -1, in = -1;
	char path[PATH_MAX];
	int ends[2], status, rc = exe_find(VERIFIER, path, e);
	pid_t pid;

	*answer = NULL;
	if (rc)
		return rc;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot create a pipe");
	in = ends[0];
	out = ends[1];
	pid = spawn(path, q, out);
	if (pid < 0)
		return err_sys(e, pid, "cannot run %s", path);
	close_fd(&out);
	*answer = read_answer(in);
	close_fd(&in);
	status = wait_for(pid);
	if (*answer && !status)
		return 0;
	if (*answer)
		(*answer)[strcspn(*answer, "\n")] = 0;
	if (!*answer || !**answer || (status != EXIT_REFUSED && status != 1))
		return err_set(e, -EIO, "%s did not answer (exit status %d)", path, status);
	if (status == EXIT_REFUSED)
		return err_set(e, -EPERM, "%s", *answer);
	return err_set(e, -EIO, VERIFIER ": %s", *answer);
}

static int read_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "WHAT DIGEST\n"; the rest of the text, or NULL. */
static const char *read_digest(
	const char *line, const char *what, uint8_t digest[static BOOT_DIGEST])
{
	size_t len = strlen(what);

	if (strncmp(line, what, len) != 0 || line[len] != ' ')
		return NULL;
	line += len + 1;
	for (unsigned i = 0; i < BOOT_DIGEST; i++, line += 2) {
		int high = read_digit(line[0]), low = high < 0 ? -1 : read_digit(line[1]);

		if (low < 0)
			return NULL;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return *line == '\n' ? line + 1 : NULL;
}

/* The answer is taken for good only if it has every item. */
static int measure_all(const struct boot_items *items, const char *answer,
	const struct boot_measure *measure, struct err *e)
{
	uint8_t digests[BOOT_ITEMS_MAX][BOOT_DIGEST];
	int rc = 0;

	for (unsigned i = 0; answer && i < items->n; i++)
		answer = read_digest(answer, items->v[i].what, digests[i]);
	if (!answer || *answer)
		return err_set(e, -EIO, VERIFIER " gave an answer that is none");
	for (unsigned i = 0; measure && !rc && i < items->n; i++)
		rc = measure->extend(measure->arg, items->v[i].what, digests[i], e);
	return rc;
}

static int open_file(const char *path, const char *what, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? err_sys(e, -errno, "cannot open the %s %s", what, path) : fd;
}

/* What cannot be read cannot be trusted, now or later. */
static int refuse(struct err *e)
{
	if (e)
		e->code = -EPERM;
	return -EPERM;
}

int boot_verify(const struct boot_items *items, const struct boot_policy *policy,
	const struct boot_measure *measure, struct err *e)
{
	autoclose int key = open_file(policy->key, "key", e), manifest = -1;
	autofree char *answer = NULL;
	struct question q = { "check", policy->vm, policy->min_version, key, -1, items };
	int rc;

	if (key < 0)
		return refuse(e);
	manifest = open_file(policy->manifest, "manifest", e);
	if (manifest < 0)
		return refuse(e);
	q.manifest = manifest;
	rc = ask(&q, &answer, e);
	if (rc == -EPERM)
		return err_prefix(e, "manifest %s, key %s", policy->manifest, policy->key);
	return rc ? rc : measure_all(items, answer, measure, e);
}

int boot_sign(const struct boot_items *items, const char *vm, uint64_t version,
	const char *key_path, char **manifest, struct err *e)
{
	autoclose int key = open_file(key_path, "key", e);
	struct question q = { "sign", vm, version, key, -1, items };
	int rc;

	if (key < 0)
		return key;
	rc = ask(&q, manifest, e);
	if (rc) {
		free(*manifest);
		*manifest = NULL;
	}
	return rc;
}
