/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control groups: what is said where they cannot be had, against folders that look like groups; and
 * their life, in real ones where this user may make them.
 */
#include "system/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* A folder that looks like a group which was handed to us; the caller removes it. */
static void make_fake(char *folder)
{
	if (!mkdtemp(folder))
		return;
	write_text(folder, "cgroup.type", "domain\n");
	write_text(folder, "cgroup.controllers", "cpuset cpu io memory pids\n");
	write_text(folder, "cgroup.subtree_control", "\n");
	write_text(folder, "cgroup.procs", "");
}

static void remove_fake(const char *folder)
{
	static const char *const names[] = { "cgroup.type", "cgroup.controllers",
		"cgroup.subtree_control", "cgroup.procs" };
	char path[256];

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void test_probe(struct tap *t)
{
	char folder[] = "/tmp/avp-cgroup-XXXXXX";
	struct err e = { 0 };
	char pid[32];

	CHECK_EQ(t, cgroups_probe("/nonexistent", 0, &e), -ENOENT);
	CHECK(t, strstr(e.msg, "no control group of version 2") != NULL);
	make_fake(folder);
	CHECK_EQ(t, cgroups_probe(folder, CGROUP_CPU | CGROUP_MEMORY | CGROUP_CPUSET, &e), 0);
	write_text(folder, "cgroup.controllers", "hugetlb cpu\n");
	CHECK_EQ(t, cgroups_probe(folder, CGROUP_CPU, &e), 0);
	CHECK_EQ(
		t, cgroups_probe(folder, CGROUP_CPU | CGROUP_MEMORY | CGROUP_CPUSET, &e), -ENOTSUP);
	CHECK(t, strstr(e.msg, "no controller 'memory, cpuset'") != NULL);
	/* Our own process will move away; others would stay. */
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	write_text(folder, "cgroup.procs", pid);
	CHECK_EQ(t, cgroups_probe(folder, CGROUP_CPU, &e), 0);
	write_text(folder, "cgroup.procs", "1\n");
	CHECK_EQ(t, cgroups_probe(folder, CGROUP_CPU, &e), -EBUSY);
	CHECK(t, strstr(e.msg, "Delegate=yes") != NULL);
	/* They may if the controllers are on already (a parent that somebody else prepared), and in
	 * the root group. */
	write_text(folder, "cgroup.subtree_control", "cpu\n");
	CHECK_EQ(t, cgroups_probe(folder, CGROUP_CPU, &e), 0);
	remove_fake(folder);
}

static void test_needs(struct tap *t)
{
	struct cgroup_limits l = { 0 };
	char cpus[] = "0";

	CHECK_EQ(t, cgroup_limits_need(&l), 0);
	l.cpu_weight = 300;
	CHECK_EQ(t, cgroup_limits_need(&l), CGROUP_CPU);
	l.memory_high = 1;
	CHECK_EQ(t, cgroup_limits_need(&l), CGROUP_CPU | CGROUP_MEMORY);
	l = (struct cgroup_limits){ .cpuset = cpus };
	CHECK_EQ(t, cgroup_limits_need(&l), CGROUP_CPUSET);
}

/* A group of our own inside the real hierarchy, with this process in it. */
struct real {
	char parent[256], home[256];
};

static int enter(const char *group)
{
	char path[300];
	int fd, r;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	r = fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static bool make_real(struct real *r)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re"), *own;
	struct mntent *m;
	char mount[100] = "", path[100] = "", line[200];

	while (mounts && (m = getmntent(mounts)))
		if (!strcmp(m->mnt_type, "cgroup2"))
			snprintf(mount, sizeof(mount), "%s", m->mnt_dir);
	if (mounts)
		endmntent(mounts);
	own = fopen("/proc/self/cgroup", "re");
	while (own && fgets(line, sizeof(line), own))
		if (sscanf(line, "0::%99s", path) == 1)
			break;
	if (own)
		fclose(own);
	if (!*mount || !*path)
		return false;
	snprintf(r->home, sizeof(r->home), "%s%s", mount, path);
	snprintf(r->parent, sizeof(r->parent), "%s/avp-test-%d", mount, getpid());
	if (mkdir(r->parent, 0755))
		return false;
	if (!enter(r->parent))
		return true;
	rmdir(r->parent);
	return false;
}

/* True if nothing is left in it. */
static bool remove_real(const struct real *r)
{
	enter(r->home);
	return rmdir(r->parent) == 0;
}

/* A child in a group, waiting to be killed. */
static pid_t start_child(struct tap *t, const struct cgroup *group)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		if (write(cgroup_join_fd(group), "0", 1) == 1 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	CHECK_EQ(t, read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static bool group_of(pid_t pid, const char *end)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3) && strlen(line) >= strlen(end))
			found = !strcmp(line + strlen(line) - strlen(end), end);
	}
	if (f)
		fclose(f);
	return found;
}

static void test_life(struct tap *t)
{
	struct cgroups *groups = NULL;
	struct cgroup *ivi = NULL;
	struct err e = { 0 };
	struct real real;
	pid_t child;

	if (!make_real(&real)) {
		tap_skip(t, "this user may make no control group of version 2 here");
		return;
	}
	CHECK_EQ(t, cgroups_open(&groups, real.parent, "cockpit", 0, &e), 0);
	REQUIRE(t, groups != NULL);
	CHECK(t, group_of(getpid(), "/avp/cockpit/@system"));
	CHECK_EQ(t, cgroup_add(groups, "ivi", &ivi, &e), 0);
	REQUIRE(t, ivi != NULL);
	child = start_child(t, ivi);
	CHECK(t, group_of(child, "/avp/cockpit/ivi"));
	CHECK(t, cgroup_usage_us(ivi) >= 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cgroups_close(groups);
	CHECK(t, remove_real(&real));
}

/* As after kill -9: groups are there, and processes in them. */
static void test_predecessor(struct tap *t)
{
	struct cgroups *first = NULL, *second = NULL;
	struct cgroup *ivi = NULL;
	struct err e = { 0 };
	struct real real;
	pid_t child;

	if (!make_real(&real)) {
		tap_skip(t, "this user may make no control group of version 2 here");
		return;
	}
	CHECK_EQ(t, cgroups_clean(real.parent, "cockpit", &e), 0);
	CHECK_EQ(t, cgroups_open(&first, real.parent, "cockpit", 0, &e), 0);
	REQUIRE(t, first && !cgroup_add(first, "ivi", &ivi, &e));
	child = start_child(t, ivi);
	enter(real.parent);
	/* Whoever lives is not touched. */
	CHECK_EQ(t, cgroups_clean(real.parent, "cockpit", &e), -EBUSY);
	CHECK(t, strstr(e.msg, "living processes") != NULL);
	CHECK_EQ(t, kill(child, 0), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK_EQ(t, cgroups_clean(real.parent, "cockpit", &e), 0);
	CHECK_EQ(t, cgroups_open(&second, real.parent, "cockpit", 0, &e), 0);
	CHECK_EQ(t, cgroup_add(second, "ivi", &ivi, &e), 0);
	cgroups_close(second);
	cgroups_close(first);
	CHECK(t, remove_real(&real));
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_probe);
	TAP_RUN(&t, test_needs);
	TAP_RUN(&t, test_life);
	TAP_RUN(&t, test_predecessor);
	return tap_done(&t);
}
