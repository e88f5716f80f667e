/* SPDX-License-Identifier: BSD-3-Clause */
#include "jails/look.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

static bool has_line(const char *text, const char *line)
{
	bool has = strstr(text, line);

	if (!has)
		printf("# no '%s' in its status\n", line);
	return has;
}

static void check_status(struct tap *t, const struct seen *s)
{
	static const char *const lines[] = { "\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n",
		"\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
		"\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n",
		"\nCapAmb:\t0000000000000000\n" };
	char path[64], text[8192] = { 0 };
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(t, read(fd, text, sizeof(text) - 1) > 0);
	for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
		CHECK(t, has_line(text, lines[i]));
	/* The user of a folder that it needs may be root. */
	if (!s->folder)
		CHECK(t, !strstr(text, "\nUid:\t0\t"));
}

static bool same_namespace(pid_t pid, const char *name)
{
	char path[64];
	struct stat own, other;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &own))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return stat(path, &other) || (own.st_ino == other.st_ino && own.st_dev == other.st_dev);
}

static void check_namespaces(struct tap *t, const struct seen *s)
{
	static const char *const names[] = { "mnt", "net", "ipc", "uts", "cgroup" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		CHECK(t, !same_namespace(s->pid, names[i]) || !printf("# %s\n", names[i]));
	if (s->nobody)
		CHECK(t, !same_namespace(s->pid, "user"));
}

/* An empty root, or one that leads to its folder and nowhere else. */
static void check_root(struct tap *t, const struct seen *s)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/root/proc", (int)s->pid);
	CHECK(t, stat(path, &st));
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)s->pid, s->place->folder);
	CHECK_EQ(t, !stat(path, &st), s->folder);
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)s->pid, s->place->file);
	CHECK(t, stat(path, &st));
}

/* A directory would be a way out for whoever may open files. */
static void check_descriptors(struct tap *t, const struct seen *s)
{
	for (int i = 0; i < 256; i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->pid, i);
		CHECK(t, stat(path, &st) || !S_ISDIR(st.st_mode));
	}
}

void look(struct tap *t, const struct seen *s)
{
	check_status(t, s);
	if (geteuid())
		return;
	check_namespaces(t, s);
	check_root(t, s);
	check_descriptors(t, s);
}
