/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk process in a control group with less memory than its image: the page cache that it fills
 * is taken from it all the time. No request fails, no content is wrong, and the process lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "load_classes.h"
#include "tap.h"

#define LIMIT "4194304" /* bytes; the image has 8 MiB */
#define STEPS 3000u

/* A control group of one of the two kinds. */
struct group {
	char path[96];
	const char *limit, *pressed; /* files: the most, and how often it was reached */
};

static bool put(const struct group *g, const char *file, const char *text)
{
	char path[160];
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", g->path, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The number in a file, behind `key` if there is one; 0 if it is not there. */
static unsigned long get(const struct group *g, const char *file, const char *key)
{
	char path[160], text[512] = "";
	autoclose int fd = -1;
	const char *at = text;

	snprintf(path, sizeof(path), "%s/%s", g->path, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	if (key)
		at = strstr(text, key);
	return at ? strtoul(at + (key ? strlen(key) : 0), NULL, 10) : 0;
}

static bool make(struct group *g)
{
	static const struct group kinds[] = {
		{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.failcnt" },
		{ "/sys/fs/cgroup", "memory.max", "memory.events" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		*g = kinds[i];
		snprintf(g->path, sizeof(g->path), "%.40s/avp-faults-%d", kinds[i].path,
			(int)getpid());
		if (!mkdir(g->path, 0755) && put(g, g->limit, LIMIT))
			return true;
		rmdir(g->path);
	}
	return false;
}

static bool join(const struct group *g, pid_t pid)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)pid);
	return put(g, "cgroup.procs", number);
}

static unsigned long pressed(const struct group *g)
{
	return get(g, g->pressed, strstr(g->pressed, "events") ? "\nmax " : NULL);
}

static void run(struct tap *t, const struct group *g)
{
	struct load l;
	bool good = !load_open(&l, &load_blk, 0);

	CHECK(t, !good || join(g, l.srv.pid));
	for (unsigned i = 0; good && i < STEPS; i++)
		good = !load_blk.step(&l);
	good = good && !load_blk.finish(&l);
	printf("# %lu requests; the limit was reached %lu times\n", l.done, pressed(g));
	if (!CHECK(t, load_close(&l) && good))
		printf("# %s\n", l.why);
	CHECK(t, pressed(g) > 0);
}

static void less_memory_than_the_image(struct tap *t)
{
	struct group g;

	if (!make(&g)) {
		tap_skip(t, "no control group with a memory limit can be made (needs root)");
		return;
	}
	run(t, &g);
	rmdir(g.path);
}

int main(void)
{
	struct tap t = { 0 };

	signal(SIGPIPE, SIG_IGN);
	TAP_RUN(&t, less_memory_than_the_image);
	return tap_done(&t);
}
