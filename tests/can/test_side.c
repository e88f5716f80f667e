/* SPDX-License-Identifier: BSD-3-Clause */
/* Log and replay of a bus. */
#include <errno.h>
#include <unistd.h>

#include "bed.h"

static char dir[64];

static char *in_dir(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static char *content(const char *name)
{
	static char buf[1 << 20];
	char path[128];
	FILE *f = fopen(in_dir(path, name), "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	buf[n] = 0;
	if (f)
		fclose(f);
	return f ? buf : NULL;
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f = fopen(in_dir(path, name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		exit(1);
}

/* The time stamp is that of the end of the frame, however late the loop is. */
static void log_of_frames(struct tap *t)
{
	struct bed *b = bed_new(2);
	const struct canfd_frame f = bed_frame("123#AA");
	struct can_bits bits = can_frame_bits(&f);
	char path[128], want[200];

	b->config.log = in_dir(path, "log");
	REQUIRE(t, bed_start(b));
	bed_send(b, 0, "123#AA");
	bed_pass(b, 500 * MS);
	bed_send(b, 1, "12345678##1BBCC");
	bed_pass(b, 500 * MS);
	ev_run_once(b->loop, 0);
	snprintf(want, sizeof(want), "(1000001000.%06u) body 123#AA\n", bits.nominal * 2);
	CHECK(t, !strncmp(content("log"), want, strlen(want)));
	CHECK(t, strstr(content("log"), ") body 12345678##1BBCC\n"));
	bed_free(b);
	/* A second life goes on behind it. */
	b = bed_new(2);
	b->config.log = path;
	REQUIRE(t, bed_start(b));
	bed_send(b, 0, "7FF#R");
	bed_pass(b, MS);
	bed_free(b);
	CHECK(t, !strncmp(content("log"), want, strlen(want)) && strstr(content("log"), "7FF#R\n"));
	unlink(path);
}

static void log_is_bounded(struct tap *t)
{
	struct bed *b = bed_new(2);
	char path[128], old[128];
	size_t len;

	b->config.log = in_dir(path, "log");
	b->config.log_size = 4096;
	b->config.log_files = 3;
	REQUIRE(t, bed_start(b));
	for (unsigned i = 0; i < 1000; i++) {
		bed_send(b, 0, "123#1122334455667788");
		bed_pass(b, MS);
		ev_run_once(b->loop, 0);
	}
	bed_free(b);
	len = strlen(content("log"));
	CHECK(t, len > 0 && len <= 4096);
	len = strlen(content("log.1"));
	CHECK(t, len > 4000 && len <= 4096);
	CHECK(t, content("log.2") && !content("log.3"));
	unlink(path);
	unlink(in_dir(old, "log.1"));
	unlink(in_dir(old, "log.2"));
}

static void log_that_fails(struct tap *t)
{
	struct bed *b = bed_new(2);
	struct err e = { 0 };
	char path[128];

	b->config.log = in_dir(path, "none/log");
	CHECK(t, bed_open(b, &e) < 0 && strstr(e.msg, "none/log"));
	b->config.log = dir;
	CHECK(t, bed_open(b, &e) < 0);
	snprintf(path, sizeof(path), "%s/", dir);
	b->config.log = path;
	CHECK_EQ(t, bed_open(b, &e), -EINVAL);
	if (!access("/dev/full", W_OK)) {
		strcpy(path, "/dev/full");
		CHECK(t, bed_open(b, &e) < 0); /* no regular file */
	}
	bed_free(b);
}

/* Lets real time pass until node `node` has n frames. */
static bool wait_for(struct bed *b, unsigned node, unsigned n)
{
	uint64_t end = ev_now_ns() + 10 * S;

	while (b->node[node].n < n && ev_now_ns() < end) {
		ev_run_once(b->loop, 10);
		bed_pass(b, MS);
	}
	return b->node[node].n == n;
}

static void replay(struct tap *t)
{
	struct bed *b = bed_new(2);
	char path[128], only[] = "can0";

	write_file("drive", "# a comment\n"
			    "(1436509052.000000) can0 123#AA\n"
			    "(1436509052.010000) can1 124#BB\n"
			    "(1436509052.020000) can0 20000004#0001000000000000\n"
			    "(1436509052.030000) can0 125##1CC R\n\n");
	b->config.replay.file = in_dir(path, "drive");
	b->config.replay_interface = only;
	REQUIRE(t, !bed_open(b, NULL));
	/* Nothing before all ports were started. */
	ev_run_once(b->loop, 20);
	CHECK(t, canport_start(b->node[0].port));
	ev_run_once(b->loop, 20);
	bed_pass(b, MS);
	CHECK_EQ(t, b->node[0].n, 0);
	CHECK(t, canport_start(b->node[1].port));
	CHECK(t, wait_for(b, 1, 2));
	CHECK_EQ(t, b->node[1].got[0].can_id, 0x123);
	CHECK_EQ(t, b->node[1].got[1].can_id, 0x125);
	CHECK(t, can_is_fd(&b->node[1].got[1]));
	CHECK_EQ(t, canbus_counters(b->bus)->replayed, 2);
	CHECK(t, !strcmp(b->event, "replay-end"));
	bed_free(b);
	unlink(path);
}

static void bad_recordings(struct tap *t)
{
	static const char *const lines[] = { "(1.5) can0\n", "1.5 can0 123#AA\n",
		"(1.5 can0 123#\n", "(x) can0 123#\n", "(1.5)\n", "(1.5) can0 123\n",
		"(1.5) can0 123#A\n", "(1.5) can0 FFF#AA\n", "(1.5) can0 123##1AA\n",
		"# nothing\n" };
	char path[128];

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct bed *b = bed_new(2);
		struct err e = { 0 };

		write_file("bad", lines[i]);
		b->config.replay.file = in_dir(path, "bad");
		b->config.fd = false;
		if (!CHECK_EQ(t, bed_open(b, &e), -EINVAL) || !CHECK(t, strstr(e.msg, "bad")))
			printf("# line '%s': %s\n", lines[i], e.msg);
		bed_free(b);
	}
	unlink(path);
}

/* Where the kernel has no SocketCAN, that is an error at start; elsewhere an interface may come
 * later. */
static void host_interface(struct tap *t)
{
	struct bed *b = bed_new(2);
	char nothing[] = "", long_name[] = "a-name-that-is-too-long", absent[] = "nocan99";
	struct err e = { 0 };
	int ret;

	b->config.host = nothing;
	CHECK_EQ(t, bed_open(b, &e), -EINVAL);
	b->config.host = long_name;
	CHECK_EQ(t, bed_open(b, &e), -EINVAL);
	b->config.host = absent;
	ret = bed_open(b, &e);
	if (ret)
		CHECK(t, strstr(e.msg, "nocan99") && strstr(e.msg, "can-raw"));
	bed_free(b);
}

int main(void)
{
	struct tap t = { 0 };

	strcpy(dir, "/tmp/avp-can-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	TAP_RUN(&t, log_of_frames);
	TAP_RUN(&t, log_is_bounded);
	TAP_RUN(&t, log_that_fails);
	TAP_RUN(&t, replay);
	TAP_RUN(&t, bad_recordings);
	TAP_RUN(&t, host_interface);
	rmdir(dir);
	return tap_done(&t);
}
