/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte containers: fifo against a model, scatter-gather walks, descriptors over sockets, the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fifo.h"
#include "base/iov.h"
#include "base/log.h"
#include "base/util.h"
#include "tap.h"

static void test_fifo_against_model(struct tap *t)
{
	struct fifo f;
	uint8_t next_in = 0, next_out = 0;
	unsigned seed = 7;

	REQUIRE(t, !fifo_init(&f, 50));
	CHECK_EQ(t, f.cap, 64);
	for (int i = 0; i < 20000; i++) {
		uint8_t buf[80];
		size_t n;

		seed = seed * 1103515245 + 12345;
		n = (seed >> 16) % sizeof(buf);
		if (seed & 0x8000) {
			for (size_t k = 0; k < n; k++)
				buf[k] = (uint8_t)(next_in + k);
			next_in = (uint8_t)(next_in + fifo_put(&f, buf, n));
			continue;
		}
		n = fifo_get(&f, buf, n);
		for (size_t k = 0; k < n; k++)
			CHECK_EQ(t, buf[k], next_out++);
	}
	fifo_finish(&f);
}

static void test_iov_walk(struct tap *t)
{
	char a[3] = { 'a', 'b', 'c' }, b[1] = { 'd' }, c[4] = { 'e', 'f', 'g', 'h' };
	struct iovec src[] = { { a, 3 }, { b, 0 }, { b, 1 }, { c, 4 } };
	char x[5] = "", y[6] = "";
	struct iovec dst[] = { { x, 5 }, { y, 2 } };
	struct iovec part[2];
	struct iov_iter s, d;
	size_t taken;

	iov_iter_init(&s, src, 4);
	iov_iter_init(&d, dst, 2);
	CHECK_EQ(t, iov_iter_left(&s), 8);
	CHECK_EQ(t, iov_skip(&s, 2), 2);
	CHECK_EQ(t, iov_copy(&d, &s, 100), 6);
	CHECK(t, !memcmp(x, "cdefg", 5) && !memcmp(y, "h", 1));
	CHECK_EQ(t, iov_write(&d, "zz", 2), 1);
	CHECK(t, y[1] == 'z' && !y[2]);
	iov_iter_init(&s, src, 4);
	iov_skip(&s, 1);
	CHECK_EQ(t, iov_take(&s, 7, part, 2, &taken), 2);
	CHECK_EQ(t, taken, 3);
	CHECK(t, part[0].iov_base == a + 1 && part[0].iov_len == 2 && part[1].iov_base == b);
}

static void test_fds_travel(struct tap *t)
{
	int pair[2], in[3], out[2];
	unsigned n = 2;
	char buf[8];

	REQUIRE(t, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	for (int i = 0; i < 3; i++)
		in[i] = fd_event();
	CHECK_EQ(t, fd_send(pair[0], "hello", 5, in, 3), 5);
	CHECK_EQ(t, fd_recv(pair[1], buf, sizeof(buf), out, &n), 5);
	CHECK_EQ(t, n, 2); /* the third found no room and was closed */
	fd_event_signal(in[1]);
	CHECK_EQ(t, fd_event_clear(out[1]), 1);
	CHECK_EQ(t, fd_event_clear(out[0]), 0);
	CHECK(t, fcntl(out[0], F_GETFD) & FD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		close(in[i]);
	for (unsigned i = 0; i < n; i++)
		close(out[i]);
	close(pair[0]);
	close(pair[1]);
}

static void test_listen_replaces_only_sockets(struct tap *t)
{
	char dir[] = "/tmp/avp-test-XXXXXX", sock[64], file[64], longer[200];
	struct err e = { 0 };
	struct stat st;
	int fd, client;

	REQUIRE(t, mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/s", dir);
	snprintf(file, sizeof(file), "%s/f", dir);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	fd = fd_unix_listen(sock, SOCK_STREAM, &e);
	CHECK(t, fd >= 0 && !stat(sock, &st) && (st.st_mode & 0777) == 0600);
	close(fd);
	fd = fd_unix_listen(sock, SOCK_STREAM, &e); /* the file of a process that died */
	CHECK(t, fd >= 0);
	client = fd_unix_connect(sock, SOCK_STREAM, &e);
	CHECK(t, client >= 0);
	close(client);
	close(fd);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	CHECK_EQ(t, fd_unix_listen(file, SOCK_STREAM, &e), -EEXIST);
	CHECK(t, !access(file, F_OK));
	CHECK_EQ(t, fd_unix_listen(longer, SOCK_STREAM, &e), -ENAMETOOLONG);
	unlink(sock);
	unlink(file);
	rmdir(dir);
}

static void test_log_masks_escapes(struct tap *t)
{
	struct log log;
	char buf[256] = "";
	int p[2];

	REQUIRE(t, !pipe(p));
	log_init(&log, p[1], "ivi/blk0");
	log_warn(&log, "guest says %s", "\033[2Jhi\n");
	CHECK(t, read(p[0], buf, sizeof(buf) - 1) > 0);
	CHECK(t, !strcmp(buf, "ivi/blk0: warn: guest says ?[2Jhi?\n"));
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	struct tap t = { 0 };

	unsetenv("AVP_LOG");
	TAP_RUN(&t, test_fifo_against_model);
	TAP_RUN(&t, test_iov_walk);
	TAP_RUN(&t, test_fds_travel);
	TAP_RUN(&t, test_listen_replaces_only_sockets);
	TAP_RUN(&t, test_log_masks_escapes);
	return tap_done(&t);
}
