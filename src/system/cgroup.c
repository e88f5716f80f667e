/* SPDX-License-Identifier: BSD-3-Clause */
/* Control groups, version 2: making, setting and removing them. */
#include "system/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

/* Where this process and those of no VM go in a delegated group: no name of a VM has an '@'. */
#define REST "@system"

#define CPU_PERIOD_US 100000u /* the kernel's default */
#define CPU_MAX_US    1000u   /* the least quota that it takes */
#define EMPTY_TRIES   200u    /* of 10 ms, for killed processes to be gone */

struct cgroup {
	struct cgroup *next;
	char *path;
	int procs; /* cgroup.procs */
};

struct cgroups {
	char *parent, *avp, *path; /* PARENT, PARENT/avp, PARENT/avp/SYSTEM */
	char *rest;		   /* PARENT/avp/SYSTEM/@system; NULL in the root group */
	unsigned need, before;	   /* controllers that we need / that were passed on before us */
	bool moved;		   /* this process is in `rest` */
	struct cgroup *list;
};

static const char *const controller_names[] = { "cpu", "memory", "cpuset" };

/* "PATH/NAME", or NULL without memory. */
static char *join(const char *path, const char *name)
{
	char *text;

	return asprintf(&text, "%s/%s", path, name) < 0 ? NULL : text;
}

/* The text of a small file. */
static int read_file(const char *path, const char *file, char *buf, size_t len)
{
	autofree char *name = join(path, file);
	autoclose int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n;

	if (fd < 0)
		return name ? -errno : -ENOMEM;
	n = read(fd, buf, len - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/* Where version 2 is mounted; NULL if nowhere. /proc/self/mountinfo: see proc(5). */
static char *find_mount(void)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	autofree char *line = NULL;
	size_t size = 0;
	char *where = NULL;

	while (f && !where && getline(&line, &size, f) > 0)
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %ms", &where) != 1)
			where = NULL;
	return where;
}

/* This process's group below the mount point: the line "0::PATH" of /proc/self/cgroup. */
static char *find_own(void)
{
	autofclose FILE *f = fopen("/proc/self/cgroup", "re");
	autofree char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::/", 4))
			return strdup(line[4] ? line + 3 : "");
	}
	return NULL;
}

static int find_parent(const char *given, char **path, struct err *e)
{
	autofree char *mount = NULL, *own = NULL;

	if (!given)
		given = getenv(CGROUP_PARENT_ENV);
	if (given) {
		*path = strdup(given);
		return *path ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	mount = find_mount();
	own = find_own();
	if (!mount || !own)
		return err_set(e, -ENOTSUP,
			"control groups of version 2 are not mounted (mount -t cgroup2 none "
			"/sys/fs/cgroup)");
	if (asprintf(path, "%s%s", mount, own) < 0)
		*path = NULL;
	return *path ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int put(const char *path, const char *file, const char *text, struct err *e)
{
	autofree char *name = join(path, file);
	autoclose int fd = name ? open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
	int r = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));

	return r ? err_sys(e, r, "cannot write '%s' to %s/%s", text, path, file) : 0;
}

unsigned cgroup_limits_need(const struct cgroup_limits *l)
{
	return (l->cpu_weight || l->cpu_max ? CGROUP_CPU : 0) |
	       (l->memory_max || l->memory_high ? CGROUP_MEMORY : 0) |
	       (l->cpuset ? CGROUP_CPUSET : 0);
}

/* The controllers in a list of words, as bits. */
static unsigned controllers_in(char *words)
{
	unsigned have = 0;
	char *save = NULL;

	for (char *w = strtok_r(words, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		for (unsigned i = 0; i < ARRAY_LEN(controller_names); i++)
			if (!strcmp(w, controller_names[i]))
				have |= 1u << i;
	return have;
}

/* The controllers that a file of `path` lists; -errno. */
static int read_controllers(const char *path, const char *file)
{
	char text[512];
	int r = read_file(path, file, text, sizeof(text));

	return r ? r : (int)controllers_in(text);
}

static void list_controllers(unsigned set, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(controller_names) && used < len; i++)
		if (set & 1u << i)
			used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? ", " : "",
				controller_names[i]);
}

static bool is_root(const char *path)
{
	autofree char *type = join(path, "cgroup.type");

	/* Every group but the root has this file. */
	return type && access(type, F_OK) != 0;
}

/* The first process of a group that is not this one; 0: there is none. */
static pid_t stranger(const char *path)
{
	autofree char *name = join(path, "cgroup.procs");
	autofclose FILE *f = name ? fopen(name, "re") : NULL;
	long pid;

	while (f && fscanf(f, "%ld", &pid) == 1)
		if (pid != getpid())
			return (pid_t)pid;
	return 0;
}

/* Whether groups with the controllers `need` can be made in `parent`. */
static int probe_parent(const char *parent, unsigned need, struct err *e)
{
	int have = read_controllers(parent, "cgroup.controllers");
	int on = read_controllers(parent, "cgroup.subtree_control");
	autofree char *control = join(parent, "cgroup.subtree_control");
	char missing[64];
	pid_t pid;

	if (have < 0 || on < 0 || !control)
		return err_sys(
			e, have < 0 ? have : -EIO, "%s is no control group of version 2", parent);
	list_controllers(need & ~(unsigned)have, missing, sizeof(missing));
	if (*missing)
		return err_set(e, -ENOTSUP,
			"%s has no controller '%s' (see its cgroup.controllers); the groups above "
			"it must pass it on, and version 1 must not use it",
			parent, missing);
	if (access(parent, W_OK) || access(control, W_OK))
		return err_set(e, -EACCES,
			"%s was not handed to this user; start avp as a systemd service with "
			"Delegate=yes, or under systemd-run -p Delegate=yes",
			parent);
	pid = is_root(parent) || !(need & ~(unsigned)on) ? 0 : stranger(parent);
	if (pid)
		return err_set(e, -EBUSY,
			"%s holds other processes (%ld), so it can have no groups with "
			"controllers; start avp as a systemd service with Delegate=yes, or under "
			"systemd-run --scope -p Delegate=yes",
			parent, (long)pid);
	return 0;
}

int cgroups_probe(const char *parent, unsigned need, struct err *e)
{
	autofree char *path = NULL;
	int r = find_parent(parent, &path, e);

	return r ? r : probe_parent(path, need, e);
}

/* Waits until no process is in a group or its children. */
static int wait_empty(const char *path, struct err *e)
{
	char text[256];

	for (unsigned i = 0; i < EMPTY_TRIES; i++) {
		int r = read_file(path, "cgroup.events", text, sizeof(text));

		if (r || strstr(text, "populated 0"))
			return r == -ENOENT ? 0 : r;
		poll(NULL, 0, 10);
	}
	return err_set(e, -EBUSY,
		"the control group %s has living processes; another system of that name?", path);
}

/* The kernel's files vanish with their group and cannot be unlinked; those of a copy can. */
static void remove_one(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_REG)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

static bool has_children(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (dir && (entry = readdir(dir)))
		found |= entry->d_type == DT_DIR && entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

/* Removes a group with its children; no process may be in it. */
static void remove_group(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		autofree char *child = join(path, entry->d_name);

		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && child)
			remove_one(child);
	}
	if (dir)
		closedir(dir);
	remove_one(path);
}

static int make_group(const char *path, struct err *e)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return err_sys(e, -errno, "cannot create the control group %s", path);
	return 0;
}

/* Hands the controllers `set` on to the children of a group ('+'), or no longer ('-'). */
static int pass_on(const char *path, unsigned set, char sign, struct err *e)
{
	char text[64];
	size_t used = 0;

	for (unsigned i = 0; i < ARRAY_LEN(controller_names); i++)
		if (set & 1u << i)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c%s",
				used ? " " : "", sign, controller_names[i]);
	return used ? put(path, "cgroup.subtree_control", text, e) : 0;
}

static int name_paths(struct cgroups *g, const char *system)
{
	g->avp = join(g->parent, "avp");
	g->path = g->avp ? join(g->avp, system) : NULL;
	if (!g->path)
		return -ENOMEM;
	if (is_root(g->parent))
		return 0;
	g->rest = join(g->path, REST);
	return g->rest ? 0 : -ENOMEM;
}

static int make_folders(struct cgroups *g, struct err *e)
{
	int r = make_group(g->avp, e);

	return r ? r : make_group(g->path, e);
}

/* Leaves the parent to groups only. */
static int move_away(struct cgroups *g, struct err *e)
{
	int r;

	if (!g->rest)
		return 0;
	r = make_group(g->rest, e);
	if (!r)
		r = put(g->rest, "cgroup.procs", "0", e);
	g->moved = !r;
	return r;
}

int cgroups_clean(const char *parent, const char *system, struct err *e)
{
	autofree char *where = NULL, *path = NULL;
	int r;

	if (find_parent(parent, &where, NULL))
		return 0;
	if (asprintf(&path, "%s/avp/%s", where, system) < 0) {
		path = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	if (access(path, F_OK))
		return 0;
	r = wait_empty(path, e);
	if (!r)
		remove_group(path);
	return r;
}

int cgroups_open(
	struct cgroups **out, const char *parent, const char *system, unsigned need, struct err *e)
{
	struct cgroups *g = calloc(1, sizeof(*g));
	int r = g ? find_parent(parent, &g->parent, e) : -ENOMEM;

	*out = NULL;
	if (!r)
		r = probe_parent(g->parent, need, e);
	if (!r)
		r = name_paths(g, system);
	if (r == -ENOMEM)
		err_set(e, r, "out of memory");
	if (!r)
		r = make_folders(g, e);
	if (!r)
		r = move_away(g, e);
	if (!r) {
		g->need = need;
		g->before = (unsigned)read_controllers(g->parent, "cgroup.subtree_control");
		r = pass_on(g->parent, need, '+', e);
	}
	if (!r)
		r = pass_on(g->avp, need, '+', e);
	if (!r)
		r = pass_on(g->path, need, '+', e);
	if (r) {
		cgroups_close(g);
		return r;
	}
	*out = g;
	return 0;
}

/* Makes a delegated parent what it was, so that this process can be in it again. */
static void move_back(struct cgroups *g)
{
	if (!g->moved)
		return;
	pass_on(g->path, g->need, '-', NULL);
	pass_on(g->avp, g->need, '-', NULL);
	pass_on(g->parent, g->need & ~g->before, '-', NULL);
	if (!put(g->parent, "cgroup.procs", "0", NULL))
		remove_one(g->rest);
}

static void free_list(struct cgroup *list)
{
	while (list) {
		struct cgroup *next = list->next;

		/* A thread of the kernel's KVM may outlive the process that it helped. */
		wait_empty(list->path, NULL);
		remove_one(list->path);
		close_fd(&list->procs);
		free(list->path);
		free(list);
		list = next;
	}
}

void cgroups_close(struct cgroups *g)
{
	if (!g)
		return;
	free_list(g->list);
	if (g->path && !access(g->path, F_OK)) {
		move_back(g);
		remove_one(g->path);
		/* Other systems may be in it. */
		if (!has_children(g->avp))
			remove_one(g->avp);
	}
	free(g->parent);
	free(g->avp);
	free(g->path);
	free(g->rest);
	free(g);
}

int cgroup_add(struct cgroups *groups, const char *vm, struct cgroup **out, struct err *e)
{
	struct cgroup *c = calloc(1, sizeof(*c));
	autofree char *procs = NULL;
	int r;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->path = join(groups->path, vm);
	procs = c->path ? join(c->path, "cgroup.procs") : NULL;
	r = procs ? make_group(c->path, e) : err_set(e, -ENOMEM, "out of memory");
	c->procs = r ? -1 : open(procs, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (!r && c->procs < 0)
		r = err_sys(e, -errno, "cannot open %s", procs);
	if (r) {
		free(c->path);
		free(c);
		return r;
	}
	c->next = groups->list;
	groups->list = c;
	*out = c;
	return 0;
}

static int put_number(const struct cgroup *c, const char *file, uint64_t value, struct err *e)
{
	char text[32];

	if (!value)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return put(c->path, file, text, e);
}

int cgroup_set_cpu_max(struct cgroup *c, uint32_t percent, struct err *e)
{
	uint64_t quota = (uint64_t)percent * CPU_PERIOD_US / 100;
	char text[64];

	if (percent == CGROUP_NO_LIMIT)
		snprintf(text, sizeof(text), "max %u", CPU_PERIOD_US);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " %u", max_u64(quota, CPU_MAX_US),
			CPU_PERIOD_US);
	return put(c->path, "cpu.max", text, e);
}

int cgroup_set(struct cgroup *c, const struct cgroup_limits *l, struct err *e)
{
	int r = put_number(c, "cpu.weight", l->cpu_weight, e);

	if (!r && l->cpu_max)
		r = cgroup_set_cpu_max(c, l->cpu_max, e);
	if (!r)
		r = put_number(c, "memory.max", l->memory_max, e);
	if (!r)
		r = put_number(c, "memory.high", l->memory_high, e);
	if (!r && l->cpuset)
		r = put(c->path, "cpuset.cpus", l->cpuset, e);
	return r;
}

int cgroup_join_fd(const struct cgroup *c)
{
	return c->procs;
}

int64_t cgroup_usage_us(const struct cgroup *c)
{
	char text[1024];
	int64_t us;
	int r = read_file(c->path, "cpu.stat", text, sizeof(text));

	if (r)
		return r;
	return sscanf(text, "usage_usec %" SCNd64, &us) == 1 ? us : -EIO;
}
