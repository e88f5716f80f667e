/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user back-end: life of rings and of the device, as front-ends in use drive it. */
#include <errno.h>
#include <poll.h>

#include "base/fd.h"
#include "base/util.h"
#include "echo.h"
#include "tap.h"
#include "vhud_server.h"

static const uint64_t ring_features[] = {
	0,
	FEATURE(VIRTIO_F_EVENT_IDX),
	FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX),
	FEATURE(VIRTIO_F_IN_ORDER),
	FEATURE(VIRTIO_F_RING_PACKED),
	FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_EVENT_IDX),
	FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_INDIRECT_DESC),
	FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_IN_ORDER),
};

/* A server with the echo device and a driver that has started it. */
struct pair {
	struct vhud_server srv;
	struct vhud *d;
};

static int pair_up(struct pair *p, const struct vhud_opts *opts, const char *hold)
{
	if (vhud_serve(&p->srv, &echo_class, "hold", hold, NULL))
		return -1;
	p->d = vhud_open(p->srv.path);
	if (p->d && !vhud_start(p->d, opts))
		return 0;
	vhud_close(p->d);
	vhud_serve_end(&p->srv);
	return -1;
}

static void pair_end(struct pair *p)
{
	vhud_close(p->d);
	vhud_serve_end(&p->srv);
}

/* One request and its answer on queue q. */
static void echo_once(struct tap *t, struct vhud *d, unsigned q, uint32_t word)
{
	uint32_t back = 0;

	CHECK_EQ(t, vhud_do(d, q, &word, sizeof(word), &back, sizeof(back)), sizeof(back));
	CHECK_EQ(t, back, word);
}

static void serves_every_kind_of_ring(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		const struct vhud_opts opts = { .features = ring_features[i], .nqueues = 3 };
		struct pair p;

		REQUIRE(t, !pair_up(&p, &opts, "0"));
		CHECK_EQ(t, vhud_negotiated(p.d) & ring_features[i], ring_features[i]);
		for (uint32_t n = 0; n < 300; n++)
			echo_once(t, p.d, n % 3, n);
		pair_end(&p);
	}
}

static void answers_large_and_many(struct tap *t)
{
	const struct vhud_opts opts = { .features = FEATURE(VIRTIO_F_INDIRECT_DESC), .nqueues = 1 };
	static uint8_t out[300000], in[300000];
	struct pair p;

	REQUIRE(t, !pair_up(&p, &opts, "20"));
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	CHECK_EQ(t, vhud_do(p.d, 0, out, sizeof(out), in, sizeof(in)), sizeof(out));
	CHECK(t, !memcmp(out, in, sizeof(out)));
	pair_end(&p);
}

/* Queues may be stopped and continued at any time without a request lost. */
static void stops_and_continues(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		const struct vhud_opts opts = { .features = ring_features[i], .nqueues = 1 };
		struct pair p;
		uint32_t base;

		REQUIRE(t, !pair_up(&p, &opts, "0"));
		for (uint32_t n = 0; n < 100; n++) {
			echo_once(t, p.d, 0, n);
			if (n % 10)
				continue;
			CHECK(t, !vhud_queue_stop(p.d, 0, &base));
			if (!(ring_features[i] & FEATURE(VIRTIO_F_RING_PACKED)))
				CHECK_EQ(t, base, n + 1);
			CHECK(t, !vhud_queue_resume(p.d, 0, base));
		}
		pair_end(&p);
	}
}

/* After GET_VRING_BASE nothing is touched, kick or not. */
static void stopped_means_stopped(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	struct pair p;
	uint32_t base;
	uint8_t *buf;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	buf = vhud_alloc(p.d, 64);
	CHECK(t, !vhud_queue_stop(p.d, 0, &base));
	CHECK_EQ(t, base, 0);
	CHECK(t, !vhud_add(p.d, 0, &(struct iovec){ buf, 64 }, 0, 1, buf));
	vhud_kick(p.d, 0);
	fd_event_signal(vhud_kick_fd(p.d, 0));
	CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, 50), 0);
	CHECK(t, !vhud_queue_resume(p.d, 0, base));
	CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, VHUD_TIMEOUT_MS), 1);
	pair_end(&p);
}

static void disabled_rings_wait(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1, .disabled = true };
	struct pair p;
	uint8_t *buf;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	buf = vhud_alloc(p.d, 64);
	CHECK(t, !vhud_add(p.d, 0, &(struct iovec){ buf, 64 }, 0, 1, buf));
	vhud_kick(p.d, 0);
	CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, 50), 0);
	CHECK(t, !vhud_queue_enable(p.d, 0, true));
	CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, VHUD_TIMEOUT_MS), 1);
	CHECK(t, !vhud_queue_enable(p.d, 0, false));
	CHECK(t, !vhud_add(p.d, 0, &(struct iovec){ buf, 64 }, 0, 1, buf));
	vhud_kick(p.d, 0);
	CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, 50), 0);
	pair_end(&p);
}

/* A front-end that knows neither protocol features nor SET_VRING_ENABLE. */
static void serves_plain_frontends(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 2, .plain = true };
	struct pair p;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	CHECK_EQ(t, vhud_protocol(p.d), 0);
	echo_once(t, p.d, 0, 1);
	echo_once(t, p.d, 1, 2);
	pair_end(&p);
}

/* Some front-ends do not pass on the bits of the ring, though the driver uses them. */
static void serves_frontends_that_filter_features(struct tap *t)
{
	const uint64_t used = FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX);
	const struct vhud_opts opts = {
		.nqueues = 1,
		.features = used,
		.unsaid = used | FEATURE(VIRTIO_F_VERSION_1),
	};
	struct pair p;
	uint8_t *buf;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	buf = vhud_alloc(p.d, 256);
	for (unsigned i = 0; i < 100; i++) {
		const struct iovec iov[] = { { buf, 64 }, { buf + 64, 64 }, { buf + 128, 128 } };
		uint32_t len = 0;

		CHECK(t, !vhud_add(p.d, 0, iov, 2, 1, buf));
		vhud_kick(p.d, 0);
		CHECK_EQ(t, vhud_wait(p.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
		CHECK_EQ(t, len, 128);
	}
	pair_end(&p);
}

static bool signalled(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* QEMU changes the descriptor when the guest unmasks an interrupt, and relies on one call. */
static void signals_a_new_call_descriptor(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	const uint64_t index = 0;
	autoclose int call = fd_event();
	struct pair p;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	CHECK(t, !vhud_ack(p.d, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &call, 1));
	CHECK(t, signalled(call, 0));
	fd_event_clear(call);
	CHECK(t, !signalled(call, 20));
	pair_end(&p);
}

/* SET_VRING_KICK without a descriptor: the back-end is to poll. */
static void polls_without_a_kick_descriptor(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	const uint64_t none = VHOST_USER_VRING_NOFD;
	struct pair p;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	CHECK(t, !vhud_ack(p.d, VHOST_USER_SET_VRING_KICK, &none, sizeof(none), NULL, 0));
	for (uint32_t n = 0; n < 20; n++)
		echo_once(t, p.d, 0, n);
	pair_end(&p);
}

struct counts {
	struct vhud_server *srv;
	uint64_t starts, resets, requests, kicks;
};

static void read_counts(void *arg)
{
	struct counts *c = arg;
	const struct echo *echo = container_of(c->srv->dev, struct echo, dev);

	c->starts = echo->starts;
	c->resets = echo->resets;
	c->requests = echo->requests;
	c->kicks = echo->kicks;
}

static struct counts counts_of(struct vhud_server *srv)
{
	struct counts c = { .srv = srv };

	vhud_serve_call(srv, read_counts, &c);
	return c;
}

/* Kicks with nothing behind them are heard about once per millisecond after a while; requests are
 * answered all the same. */
static void mutes_endless_kicks(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		const struct vhud_opts opts = { .features = ring_features[i], .nqueues = 2 };
		struct pair p;
		uint64_t before, began, heard;

		REQUIRE(t, !pair_up(&p, &opts, "0"));
		echo_once(t, p.d, 1, i);
		before = counts_of(&p.srv).kicks;
		began = ev_now_ns();
		for (unsigned n = 0; n < 20000; n++) {
			vhud_signal(vhud_kick_fd(p.d, 0));
			if (n % 5000 == 0)
				echo_once(t, p.d, n / 5000 % 2, n);
		}
		heard = counts_of(&p.srv).kicks - before;
		/* 64 until it is muted, again after each request; then one or two for each tick. */
		CHECK(t, heard <= 400 + 2 * (ev_now_ns() - began) / 1000000);
		pair_end(&p);
	}
}

/* A ring that starts is the start of the device, a stopped ring that starts from the beginning a
 * reset, and a pause neither. */
static void starts_and_resets(struct tap *t, const struct vhud_opts *opts)
{
	struct counts before, after;
	struct pair p;
	uint32_t base;

	REQUIRE(t, !pair_up(&p, opts, "0"));
	echo_once(t, p.d, 0, 1);
	before = counts_of(&p.srv);
	CHECK_EQ(t, before.starts, 1);
	CHECK(t, !vhud_queue_stop(p.d, 0, &base));
	CHECK(t, !vhud_queue_resume(p.d, 0, base));
	echo_once(t, p.d, 0, 2);
	after = counts_of(&p.srv);
	CHECK_EQ(t, after.starts, 1);
	CHECK_EQ(t, after.resets, before.resets);
	CHECK(t, !vhud_queue_stop(p.d, 0, NULL));
	CHECK(t, !vhud_queue_start(p.d, 0, 64));
	echo_once(t, p.d, 0, 3);
	after = counts_of(&p.srv);
	CHECK_EQ(t, after.starts, 2);
	CHECK_EQ(t, after.resets, before.resets + 1);
	pair_end(&p);
}

static void starts_and_resets_without_status(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1,
		.protocol = FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) };

	starts_and_resets(t, &opts);
}

/* QEMU 7.2 agrees on STATUS and then sets FEATURES_OK only. */
static void starts_and_resets_with_half_a_status(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1,
		.lazy_status = true,
		.protocol = FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			    FEATURE(VHOST_USER_PROTOCOL_F_STATUS) };

	starts_and_resets(t, &opts);
}

/* With a whole status the device starts at DRIVER_OK, not before. */
static void starts_at_driver_ok(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 2 };
	struct vhud_server srv;
	struct vhud *d;

	REQUIRE(t, !vhud_serve(&srv, &echo_class, NULL));
	d = vhud_open(srv.path);
	REQUIRE(t, d && !vhud_negotiate(d, &opts));
	CHECK(t, !vhud_queue_start(d, 0, 64) && !vhud_queue_start(d, 1, 64));
	CHECK_EQ(t, counts_of(&srv).starts, 0);
	CHECK(t, !vhud_driver_ok(d));
	CHECK_EQ(t, counts_of(&srv).starts, 1);
	echo_once(t, d, 1, 1);
	vhud_close(d);
	vhud_serve_end(&srv);
}

static void resets_and_starts_again(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		struct vhud_opts opts = { .features = ring_features[i], .nqueues = 2 };
		struct pair p;
		uint8_t status = 0xff;

		REQUIRE(t, !pair_up(&p, &opts, "0"));
		echo_once(t, p.d, 1, 1);
		CHECK(t, !vhud_reset(p.d));
		CHECK(t, !vhud_get_status(p.d, &status));
		CHECK_EQ(t, status, 0);
		/* Other features than before. */
		opts.features = ring_features[(i + 3) % ARRAY_LEN(ring_features)];
		CHECK(t, !vhud_start(p.d, &opts));
		echo_once(t, p.d, 1, 2);
		CHECK_EQ(t, counts_of(&p.srv).starts, 2);
		pair_end(&p);
	}
}

/* The device's buffers and rings move while requests are held: they are done after it. */
static void memory_table_changes_while_running(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		const struct vhud_opts opts = { .features = ring_features[i], .nqueues = 1 };
		unsigned answered = 0;
		struct pair p;
		uint8_t *buf;

		REQUIRE(t, !pair_up(&p, &opts, "1000"));
		buf = vhud_alloc(p.d, 64 * 32);
		for (unsigned n = 0; n < 32; n++) {
			CHECK(t, !vhud_add(p.d, 0, &(struct iovec){ buf + 64 * n, 64 }, 0, 1, buf));
			vhud_kick(p.d, 0);
			if (n % 8 == 7)
				CHECK(t, !vhud_share_memory(p.d));
		}
		while (answered < 32 && vhud_wait(p.d, 0, NULL, NULL, VHUD_TIMEOUT_MS) == 1)
			answered++;
		CHECK_EQ(t, answered, 32);
		CHECK_EQ(t, vhud_wait(p.d, 0, NULL, NULL, 0), 0);
		pair_end(&p);
	}
}

/* A driver that breaks the ring: the device says so, and a reset heals it. */
static void broken_ring_needs_reset(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	const uint64_t index = 0;
	autoclose int err = fd_event();
	struct iovec outside;
	struct pair p;
	uint8_t status = 0;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	CHECK(t, !vhud_ack(p.d, VHOST_USER_SET_VRING_ERR, &index, sizeof(index), &err, 1));
	outside = (struct iovec){ (uint8_t *)vhud_alloc(p.d, 64) + (UINT64_C(1) << 40), 64 };
	CHECK(t, !vhud_add(p.d, 0, &outside, 0, 1, NULL));
	vhud_kick(p.d, 0);
	CHECK(t, signalled(err, VHUD_TIMEOUT_MS));
	CHECK(t, vhud_config_changed(p.d, VHUD_TIMEOUT_MS));
	CHECK(t, !vhud_get_status(p.d, &status));
	CHECK(t, status & VIRTIO_S_NEEDS_RESET);
	CHECK(t, !vhud_reset(p.d));
	CHECK(t, !vhud_start(p.d, &opts));
	echo_once(t, p.d, 0, 1);
	pair_end(&p);
}

/* The next front-end waits until the first has left, and finds a device that was reset. */
static void one_frontend_after_the_other(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	struct vhud *second;
	struct pair p;
	uint8_t status = 0xff;
	uint64_t resets;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	second = vhud_open(p.srv.path);
	REQUIRE(t, second);
	CHECK(t, !vhud_send(second, VHOST_USER_GET_FEATURES, 0, NULL, 0, NULL, 0));
	CHECK(t, !signalled(vhud_sock(second), 50));
	echo_once(t, p.d, 0, 1);
	resets = counts_of(&p.srv).resets;
	vhud_close(p.d);
	CHECK(t, signalled(vhud_sock(second), VHUD_TIMEOUT_MS));
	CHECK_EQ(t, counts_of(&p.srv).resets, resets + 1);
	vhud_close(second);
	p.d = vhud_open(p.srv.path);
	REQUIRE(t, p.d && !vhud_start(p.d, &opts));
	CHECK(t, !vhud_get_status(p.d, &status));
	CHECK_EQ(t, status & VIRTIO_S_NEEDS_RESET, 0);
	echo_once(t, p.d, 0, 2);
	pair_end(&p);
}

/* Descriptors open while one connection is, and no other any more: it is greeted only then. */
static unsigned settled_fds(struct tap *t, struct pair *p)
{
	struct vhud *d = vhud_open(p->srv.path);
	uint64_t features;
	unsigned n;

	CHECK(t, d && !vhud_get_u64(d, VHOST_USER_GET_FEATURES, &features));
	n = vhud_count_fds();
	vhud_close(d);
	return n;
}

static void leaves_no_descriptor_behind(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 3 };
	struct pair p;
	unsigned before;

	REQUIRE(t, !pair_up(&p, &opts, "0"));
	vhud_close(p.d);
	p.d = NULL;
	before = settled_fds(t, &p);
	for (unsigned i = 0; i < 50; i++) {
		struct vhud *d = vhud_open(p.srv.path);

		REQUIRE(t, d && !vhud_start(d, &opts));
		echo_once(t, d, i % 3, i);
		vhud_close(d);
	}
	CHECK_EQ(t, settled_fds(t, &p), before);
	pair_end(&p);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, serves_every_kind_of_ring);
	TAP_RUN(&t, answers_large_and_many);
	TAP_RUN(&t, stops_and_continues);
	TAP_RUN(&t, stopped_means_stopped);
	TAP_RUN(&t, disabled_rings_wait);
	TAP_RUN(&t, serves_plain_frontends);
	TAP_RUN(&t, serves_frontends_that_filter_features);
	TAP_RUN(&t, signals_a_new_call_descriptor);
	TAP_RUN(&t, polls_without_a_kick_descriptor);
	TAP_RUN(&t, mutes_endless_kicks);
	TAP_RUN(&t, starts_and_resets_without_status);
	TAP_RUN(&t, starts_and_resets_with_half_a_status);
	TAP_RUN(&t, starts_at_driver_ok);
	TAP_RUN(&t, resets_and_starts_again);
	TAP_RUN(&t, memory_table_changes_while_running);
	TAP_RUN(&t, broken_ring_needs_reset);
	TAP_RUN(&t, one_frontend_after_the_other);
	TAP_RUN(&t, leaves_no_descriptor_behind);
	return tap_done(&t);
}
