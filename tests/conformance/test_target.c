/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user target of the conformance suite, on real back-ends ($AVP): what happens when they
 * die, and when they are nothing of the kind. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/target_vhu.h"
#include "tap.h"

const struct cf_case *const cf_case_tables[] = { NULL };

#define LIMIT_MS 5000

/* Opens a device of one of our back-ends; `...` of its command line come from `words`. */
static struct vhu_target *open_target(struct tap *t, const char *type, const char *const *words)
{
	char *command[16] = { getenv("AVP"), strdupa("device"), strdupa(type), strdupa("--socket"),
		strdupa("{socket}") };
	struct vhu_target_opts opts = { .type = type, .command = command, .limit_ms = LIMIT_MS };
	struct vhu_target *target = NULL;
	struct err e = { 0 };

	for (unsigned i = 0; words && words[i]; i++)
		command[5 + i] = strdupa(words[i]);
	if (!CHECK(t, !vhu_target_open(&target, &opts, &e)))
		printf("# %s\n", e.msg);
	return target;
}

static bool bring_up(struct drv_dev *dev, struct drv_queue *q)
{
	return !drv_begin(dev, UINT64_MAX & ~DRV_FEATURE(VIRTIO_F_RING_PACKED), 0) &&
	       !drv_queue_open(q, dev, 0, 16, 4) && !drv_run(dev);
}

static bool submit(struct cf_target *cf, struct drv_queue *q, unsigned at)
{
	const struct drv_sg sg = drv_sg(cf->dev, cf->mem + at, 64);

	return !drv_ring_add(&q->ring, &sg, 0, 1, cf->mem + at) && !drv_queue_publish(q);
}

static bool answered(struct cf_target *cf, struct drv_queue *q, unsigned at)
{
	void *cookie = NULL;
	uint32_t len = 0;

	return !drv_queue_wait(q, &cookie, &len, drv_now(cf->dev) + cf->limit) &&
	       cookie == cf->mem + at && len;
}

static void a_device_answers(struct tap *t)
{
	struct vhu_target *target = open_target(t, "rng", NULL);
	struct drv_queue q;
	struct cf_target *cf;
	const char *why = "";
	uint32_t count = 0;

	REQUIRE(t, target);
	cf = vhu_target_cf(target);
	CHECK_EQ(t, cf->dev->id, 4);
	CHECK(t, bring_up(cf->dev, &q) && submit(cf, &q, 0) && answered(cf, &q, 0));
	CHECK(t, !cf->dev->ops->interrupts(cf->dev, 0, &count) && count == 1);
	CHECK(t, !cf->dev->ops->interrupts(cf->dev, 0, &count) && count == 0);
	CHECK_EQ(t, cf->dev->ops->interrupts(cf->dev, 77, &count), DRV_INVALID);
	CHECK_EQ(t, cf->dev->ops->notify(cf->dev, 77, 0), DRV_INVALID);
	CHECK(t, cf->alive(cf, &why));
	/* The hole is not part of what is shared. */
	CHECK(t, cf->platform->map(cf->platform->ctx, cf->mem, cf->mem_len) + cf->mem_len <=
			 cf->hole);
	CHECK_EQ(t, cf->platform->map(cf->platform->ctx, cf->mem, cf->mem_len + 1), UINT64_MAX);
	CHECK_EQ(t, cf->platform->map(cf->platform->ctx, t, 1), UINT64_MAX);
	vhu_target_close(target);
}

/* The pid of the back-end: the only child there is. */
static pid_t find_child(void)
{
	char path[64];
	autofclose FILE *f = NULL;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	return f && fscanf(f, "%d", &pid) == 1 ? pid : 0;
}

static void a_dead_backend_is_noticed_and_revived(struct tap *t)
{
	struct vhu_target *target = open_target(t, "rng", NULL);
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t deadline = ev_now_ns() + LIMIT_MS * UINT64_C(1000000);
	struct drv_queue q;
	struct cf_target *cf;
	const char *why = "";
	uint64_t features;

	REQUIRE(t, target);
	cf = vhu_target_cf(target);
	CHECK(t, bring_up(cf->dev, &q));
	REQUIRE(t, find_child() > 1);
	kill(find_child(), SIGKILL);
	while (cf->alive(cf, &why) && ev_now_ns() < deadline)
		nanosleep(&pause, NULL);
	CHECK(t, strstr(why, "killed by signal 9") || strstr(why, "closed the connection"));
	CHECK(t, cf->dev->ops->set_status(cf->dev, 0) == DRV_GONE);
	CHECK(t, cf->dev->ops->features(cf->dev, &features) == DRV_GONE);
	CHECK(t, cf->revive(cf));
	CHECK(t, cf->alive(cf, &why));
	CHECK(t, bring_up(cf->dev, &q) && submit(cf, &q, 0) && answered(cf, &q, 0));
	vhu_target_close(target);
}

/* What was available when the back-end was killed is answered by the next one, once. */
static void requests_outlive_a_kill(struct tap *t)
{
	static const char *const slow[] = { "--rate", "64", "--period", "200", NULL };
	struct vhu_target *target = open_target(t, "rng", slow);
	struct drv_queue q;
	struct cf_target *cf;
	unsigned n = 0;

	REQUIRE(t, target);
	cf = vhu_target_cf(target);
	REQUIRE(t, bring_up(cf->dev, &q));
	for (unsigned i = 0; i < 4; i++)
		CHECK(t, submit(cf, &q, 64 * i));
	CHECK(t, cf->kill(cf));
	while (n < 4 && !drv_queue_wait(&q, NULL, NULL, drv_now(cf->dev) + cf->limit))
		n++;
	CHECK_EQ(t, n, 4);
	CHECK(t, !drv_ring_used(&q.ring));
	CHECK(t, submit(cf, &q, 0) && answered(cf, &q, 0));
	vhu_target_close(target);
}

static void facts_are_found_by_their_whole_name(struct tap *t)
{
	char *facts[] = { strdupa("mac=52:54:00:00:00:01"), strdupa("m=1"), strdupa("empty=") };
	char *command[] = { getenv("AVP"), strdupa("device"), strdupa("rng"), strdupa("--socket"),
		strdupa("{socket}"), NULL };
	const struct vhu_target_opts opts = {
		.type = "4",
		.command = command,
		.limit_ms = LIMIT_MS,
		.facts = { facts, ARRAY_LEN(facts) },
	};
	struct vhu_target *target;
	struct cf_target *cf;

	REQUIRE(t, !vhu_target_open(&target, &opts, NULL));
	cf = vhu_target_cf(target);
	CHECK(t, !strcmp(cf->fact(cf, "mac"), "52:54:00:00:00:01"));
	CHECK(t, !strcmp(cf->fact(cf, "m"), "1"));
	CHECK(t, !strcmp(cf->fact(cf, "empty"), ""));
	CHECK(t, !cf->fact(cf, "ma"));
	CHECK(t, !cf->fact(cf, "mtu"));
	vhu_target_close(target);
}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

static void expect_error(
	struct tap *t, const char *type, const char *const *words, int code, const char *text)
{
	char *command[8] = { NULL };
	struct vhu_target_opts opts = { .type = type, .command = command, .limit_ms = 1000 };
	struct vhu_target *target;
	struct err e = { 0 };
	unsigned fds = count_fds();

	for (unsigned i = 0; words[i]; i++)
		command[i] = strdupa(words[i]);
	CHECK_EQ(t, vhu_target_open(&target, &opts, &e), code);
	if (!CHECK(t, strstr(e.msg, text)))
		printf("# \"%s\" lacks \"%s\"\n", e.msg, text);
	CHECK_EQ(t, count_fds(), fds);
}

static void what_is_no_backend_is_said(struct tap *t)
{
	static const char *const dies[] = { "/bin/sh", "-c", "exit 3", NULL };
	static const char *const missing[] = { "/nowhere/at/all", NULL };
	static const char *const deaf[] = { "/usr/bin/python3", "-c",
		"import socket,sys,time\n"
		"s=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n"
		"c=s.accept()\ntime.sleep(100)",
		"{socket}", NULL };
	static const char *const rude[] = { "/usr/bin/python3", "-c",
		"import socket,sys\n"
		"s=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n"
		"s.accept()[0].sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n')\ns.accept()",
		"{socket}", NULL };

	expect_error(t, "blkk", dies, -EINVAL, "did you mean 'blk'?");
	expect_error(t, "0", dies, -EINVAL, "no device type '0'");
	expect_error(t, "blk", dies, -ECHILD, "exited with status 3 before it listened");
	expect_error(t, "blk", missing, -ECHILD, "exited with status 127");
	expect_error(t, "blk", deaf, -EIO, "does not answer");
	expect_error(t, "blk", rude, -EIO, "no vhost-user back-end");
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, a_device_answers);
	TAP_RUN(&t, a_dead_backend_is_noticed_and_revived);
	TAP_RUN(&t, requests_outlive_a_kill);
	TAP_RUN(&t, facts_are_found_by_their_whole_name);
	TAP_RUN(&t, what_is_no_backend_is_said);
	return tap_done(&t);
}
