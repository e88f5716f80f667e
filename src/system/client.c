/* SPDX-License-Identifier: BSD-3-Clause */
/* Talking to a running system. */
#include "system/client.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/config.h"
#include "system/jsonl.h"
#include "system/rundir.h"

#define NAMES_LEN 400

static bool is_live(const char *name)
{
	autofree char *path = rundir_path(name);

	return path && rundir_is_live(path) == 1;
}

/* The only running system's name; owned by the caller. */
static int find_only(char **name, struct err *e)
{
	autofree char *all = rundir_path(NULL);
	DIR *dir = all ? opendir(all) : NULL;
	char names[NAMES_LEN] = "";
	const struct dirent *entry;
	unsigned n = 0;

	*name = NULL;
	while (dir && (entry = readdir(dir))) {
		size_t used = strlen(names);

		if (entry->d_name[0] == '.' || !is_live(entry->d_name))
			continue;
		snprintf(names + used, sizeof(names) - used, "%s%.*s", n++ ? ", " : "",
			(int)CONF_NAME_MAX, entry->d_name);
		if (!*name)
			*name = strdup(entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (n == 1 && *name)
		return 0;
	free(*name);
	*name = NULL;
	if (!n)
		return err_set(e, -ENOENT, "no system is running (%s); avp run FILE starts one",
			all ? all : "no memory");
	return err_set(
		e, -EINVAL, "several systems are running: %s; say which with --system", names);
}

int client_open(struct client_conn *c, const char *system, struct err *e)
{
	autofree char *only = NULL, *dir = NULL, *path = NULL;
	int r;

	*c = (struct client_conn){ .fd = -1 };
	if (!system) {
		r = find_only(&only, e);
		if (r)
			return r;
		system = only;
	}
	dir = rundir_path(system);
	if (!dir || asprintf(&path, "%s/" RUNDIR_CONTROL, dir) < 0) {
		path = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	if (strchr(system, '/') || rundir_is_live(dir) != 1)
		return err_set(e, -ENOENT, "system '%.64s' is not running", system);
	c->fd = fd_unix_connect(path, SOCK_STREAM, e);
	return c->fd < 0 ? c->fd : 0;
}

void client_close(struct client_conn *c)
{
	close_fd(&c->fd);
	free(c->buf);
	c->buf = NULL;
}

/* Reads once more; 0 or -errno. */
static int fill(struct client_conn *c, struct err *e)
{
	ssize_t n;

	if (c->cap - c->len < 4096) {
		size_t cap = c->cap ? 2 * c->cap : 16384;
		char *bigger = cap > CLIENT_ANSWER_MAX ? NULL : realloc(c->buf, cap);

		if (!bigger)
			return err_set(e, -EMSGSIZE, "the answer is too long");
		c->buf = bigger;
		c->cap = cap;
	}
	do
		n = recv(c->fd, c->buf + c->len, c->cap - c->len - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, -errno, "control socket");
	if (n == 0)
		return err_set(e, -EPIPE, "the system has ended");
	c->len += (size_t)n;
	return 0;
}

int client_read(struct client_conn *c, cJSON **msg, struct err *e)
{
	char *nl = NULL;
	size_t used;
	int r;

	while (!c->len || !(nl = memchr(c->buf, '\n', c->len))) {
		r = fill(c, e);
		if (r)
			return r;
	}
	*nl = 0;
	*msg = cJSON_Parse(c->buf);
	used = (size_t)(nl + 1 - c->buf);
	c->len -= used;
	memmove(c->buf, nl + 1, c->len);
	return *msg ? 0 : err_set(e, -EPROTO, "the system's answer is no JSON");
}

int client_request(struct client_conn *c, cJSON *request, cJSON **result, struct err *e)
{
	char *text = request ? cJSON_PrintUnformatted(request) : NULL;
	cJSON *answer = NULL;
	const char *error;
	int r;

	*result = NULL;
	cJSON_Delete(request);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	r = fd_write_full(c->fd, text, strlen(text));
	if (!r)
		r = fd_write_full(c->fd, "\n", 1);
	cJSON_free(text);
	if (r)
		return err_sys(e, r, "control socket");
	r = client_read(c, &answer, e);
	if (r)
		return r;
	error = jsonl_str(answer, "error");
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
		*result = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
	else
		r = err_set(e, -EIO, "%s", error ? error : "the system refused");
	cJSON_Delete(answer);
	return r;
}

cJSON *client_command(const char *cmd)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "cmd", cmd);
	return o;
}
