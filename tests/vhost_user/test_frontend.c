/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user front-end against our back-end in another process: what a guest's driver sees
 * while the back-end lives, dies and comes back. A "guest" here is a piece of memory and a few
 * rings.
 */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "drivers/ring.h"
#include "echo.h"
#include "tap.h"
#include "transport/vhost_user_frontend_priv.h"
#include "vhud_server.h"
#include "zygote.h"

#define MEM_GPA	   UINT64_C(0x80000000)
#define MEM_SIZE   (UINT64_C(16) << 20)
#define QUEUE_SIZE 64
#define QUEUES	   2
#define TIMEOUT_MS 20000

#define DRIVER_OK                                                                                  \
	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK)

static const uint64_t ring_features[] = {
	0,
	FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC),
	FEATURE(VIRTIO_F_IN_ORDER),
	FEATURE(VIRTIO_F_RING_PACKED),
	FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_EVENT_IDX),
	FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_IN_ORDER),
};

struct guest {
	struct vbackend *b;
	struct log log;
	struct gm gm;
	int memfd;
	uint8_t *mem;
	uint64_t used; /* bytes of memory given out */
	int config_event, reset_event;
	struct {
		struct drv_ring ring;
		void *state;
		int kick, call;
	} q[QUEUES];
};

static void on_config(void *arg)
{
	fd_event_signal(((struct guest *)arg)->config_event);
}

static void on_reset(void *arg)
{
	fd_event_signal(((struct guest *)arg)->reset_event);
}

static bool happened(int event, int timeout_ms)
{
	struct pollfd p = { .fd = event, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && fd_event_clear(event) == 1;
}

static uint8_t *guest_alloc(struct guest *g, uint64_t len)
{
	uint8_t *p = g->mem + g->used;

	g->used += align_up(len, 4096);
	return g->used <= MEM_SIZE ? p : NULL;
}

static uint64_t gpa(const struct guest *g, const void *p)
{
	return MEM_GPA + (uint64_t)((const uint8_t *)p - g->mem);
}

static bool guest_begin(struct guest *g, const struct vhu_frontend_opts *opts)
{
	struct gm_region r = { .gpa = MEM_GPA, .size = MEM_SIZE };
	struct err e = { 0 };

	memset(g, 0, sizeof(*g));
	log_init(&g->log, STDERR_FILENO, "guest");
	g->memfd = r.fd = fd_memfd("guest", MEM_SIZE, 0, &e);
	g->config_event = fd_event();
	g->reset_event = fd_event();
	for (unsigned i = 0; i < QUEUES; i++) {
		g->q[i].kick = fd_event();
		g->q[i].call = fd_event();
	}
	if (r.fd < 0 || gm_map(&g->gm, &r, &e) ||
		vhu_frontend_create(&g->b, opts, &g->gm, &g->log, &e)) {
		printf("# %s\n", e.msg);
		return false;
	}
	g->mem = g->gm.r[0].hva;
	g->b->events = (struct vb_events){ on_config, on_reset, g };
	return true;
}

static void guest_end(struct guest *g)
{
	if (g->b)
		g->b->ops->destroy(g->b);
	gm_clear(&g->gm);
	close_fd(&g->memfd);
	close_fd(&g->config_event);
	close_fd(&g->reset_event);
	for (unsigned i = 0; i < QUEUES; i++) {
		close_fd(&g->q[i].kick);
		close_fd(&g->q[i].call);
		free(g->q[i].state);
	}
}

static bool start_queue(struct guest *g, unsigned q, uint64_t features)
{
	struct drv_ring_config c = { .size = QUEUE_SIZE, .features = features, .table_len = 4 };
	uint32_t desc, driver, device;
	struct vb_queue setup;

	drv_ring_sizes(
		QUEUE_SIZE, features & FEATURE(VIRTIO_F_RING_PACKED), &desc, &driver, &device);
	c.desc = guest_alloc(g, desc);
	c.driver = guest_alloc(g, driver);
	c.device = guest_alloc(g, device);
	c.tables = guest_alloc(g, QUEUE_SIZE * 4 * 16);
	free(g->q[q].state);
	c.state = g->q[q].state = calloc(1, drv_ring_state_size(QUEUE_SIZE));
	if (!c.tables || !c.state)
		return false;
	c.tables_addr = gpa(g, c.tables);
	setup = (struct vb_queue){ QUEUE_SIZE, gpa(g, c.desc), gpa(g, c.driver), gpa(g, c.device),
		g->q[q].kick, g->q[q].call };
	return !drv_ring_init(&g->q[q].ring, &c) && !g->b->ops->queue_start(g->b, q, &setup);
}

/* The driver's way to DRIVER_OK. */
static bool guest_start(struct guest *g, uint64_t features)
{
	features |= FEATURE(VIRTIO_F_VERSION_1);
	if (g->b->ops->set_features(g->b, features))
		return false;
	for (unsigned i = 0; i < QUEUES; i++)
		if (!start_queue(g, i, features))
			return false;
	return !g->b->ops->set_status(g->b, DRIVER_OK);
}

/* Waits until something was used on the queue: 1, 0 after the time limit, below 0: broken. */
static int wait_used(struct guest *g, unsigned q, void **cookie, uint32_t *len, int timeout_ms)
{
	struct drv_ring *r = &g->q[q].ring;

	for (;;) {
		struct pollfd p = { .fd = g->q[q].call, .events = POLLIN };
		int ret = drv_ring_get(r, cookie, len);

		if (ret || drv_ring_enable_interrupts(r, 0)) {
			if (ret)
				return ret;
			continue;
		}
		if (poll(&p, 1, timeout_ms) < 1)
			return 0;
		fd_event_clear(g->q[q].call);
	}
}

static bool submit(struct guest *g, unsigned q, uint8_t *buf, void *cookie)
{
	const struct drv_sg sg[] = { { gpa(g, buf), 8 }, { gpa(g, buf) + 8, 8 } };

	if (drv_ring_add(&g->q[q].ring, sg, 1, 1, cookie))
		return false;
	if (drv_ring_publish(&g->q[q].ring))
		fd_event_signal(g->q[q].kick);
	return true;
}

static void echo_once(struct tap *t, struct guest *g, unsigned q, uint64_t word)
{
	uint8_t *buf = guest_alloc(g, 16);
	void *cookie = NULL;
	uint32_t len = 0;

	REQUIRE(t, buf);
	memcpy(buf, &word, 8);
	CHECK(t, submit(g, q, buf, buf));
	CHECK_EQ(t, wait_used(g, q, &cookie, &len, TIMEOUT_MS), 1);
	CHECK(t, cookie == buf);
	CHECK_EQ(t, len, 8);
	CHECK(t, !memcmp(buf + 8, &word, 8));
}

static struct vhu_frontend_opts options(const struct zygote *z)
{
	return (struct vhu_frontend_opts){
		.path = z->path,
		.device_id = ECHO_ID,
		.config_len = ECHO_CONFIG,
	};
}

static void talks_to_a_backend(struct tap *t)
{
	struct zygote z;
	struct vhu_frontend_opts opts;
	uint64_t features = 0;
	struct guest g;
	uint8_t buf[4];

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		REQUIRE(t, guest_begin(&g, &opts));
		CHECK_EQ(t, g.b->nqueues, ECHO_QUEUES);
		CHECK_EQ(t, g.b->config_len, ECHO_CONFIG);
		CHECK(t, !g.b->ops->features(g.b, &features));
		CHECK(t, features & FEATURE(VIRTIO_F_VERSION_1));
		CHECK(t, features & FEATURE(VIRTIO_F_ACCESS_PLATFORM));
		CHECK(t, !(features & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)));
		REQUIRE(t, guest_start(&g, ring_features[i] | FEATURE(VIRTIO_F_ACCESS_PLATFORM)));
		for (unsigned n = 0; n < 100; n++)
			echo_once(t, &g, n % 2, n);
		CHECK(t, !g.b->ops->config_read(g.b, 4, buf, 4));
		CHECK_EQ(t, buf[1], 5);
		CHECK(t, !happened(g.config_event, 0));
		CHECK(t, !g.b->ops->config_write(g.b, 0, "ab", 2));
		CHECK(t, happened(g.config_event, TIMEOUT_MS));
		CHECK(t, !g.b->ops->config_read(g.b, 0, buf, 4));
		CHECK(t, !memcmp(buf, "ab", 2));
		CHECK_EQ(t, g.b->ops->config_read(g.b, ECHO_CONFIG - 2, buf, 4), -EINVAL);
		guest_end(&g);
	}
	zygote_end(&z);
}

static void passes_refusals_on(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	REQUIRE(t, guest_begin(&g, &opts));
	CHECK_EQ(
		t, g.b->ops->set_features(g.b, FEATURE(VIRTIO_F_VERSION_1) | FEATURE(60)), -EINVAL);
	CHECK_EQ(t,
		g.b->ops->set_features(g.b, FEATURE(VIRTIO_F_VERSION_1) | FEATURE(ECHO_F_REFUSE)),
		-EINVAL);
	CHECK_EQ(t, g.b->ops->queue_start(g.b, ECHO_QUEUES, &(struct vb_queue){ 0 }), -EINVAL);
	CHECK(t, guest_start(&g, 0));
	echo_once(t, &g, 0, 7);
	guest_end(&g);
	zygote_end(&z);
}

static void resets_and_restarts(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	REQUIRE(t, guest_begin(&g, &opts));
	for (unsigned i = 0; i < 12; i++) {
		uint64_t features = ring_features[i % ARRAY_LEN(ring_features)];

		REQUIRE(t, guest_start(&g, features));
		echo_once(t, &g, 0, i);
		/* One queue alone (VIRTIO 1.4, 2.6). */
		CHECK(t, !g.b->ops->queue_stop(g.b, 1));
		CHECK(t, start_queue(&g, 1, features | FEATURE(VIRTIO_F_VERSION_1)));
		echo_once(t, &g, 1, i);
		echo_once(t, &g, 0, i);
		CHECK(t, !g.b->ops->set_status(g.b, 0));
	}
	guest_end(&g);
	zygote_end(&z);
}

static void hears_that_a_reset_is_needed(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;
	const struct drv_sg outside = { 0x1000, 64 };

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, 0));
	CHECK(t, !drv_ring_add(&g.q[0].ring, &outside, 0, 1, NULL));
	if (drv_ring_publish(&g.q[0].ring))
		fd_event_signal(g.q[0].kick);
	CHECK(t, happened(g.reset_event, TIMEOUT_MS));
	CHECK(t, !happened(g.reset_event, 20));
	CHECK(t, !g.b->ops->set_status(g.b, 0));
	/* A report that was under way at the reset: a driver that saw it would wait for the reset
	 * to end. */
	fd_event_signal(container_of(g.b, struct frontend, base)->err_fd);
	CHECK(t, !happened(g.reset_event, 100));
	CHECK(t, guest_start(&g, 0));
	echo_once(t, &g, 0, 1);
	CHECK(t, !happened(g.reset_event, 0));
	guest_end(&g);
	zygote_end(&z);
}

#define REQUESTS 4000

/* The requests of one run under load, by number. */
struct load {
	struct guest *g;
	uint8_t *buf[QUEUES][QUEUE_SIZE]; /* a ring's slots of 16 bytes */
	bool busy[QUEUES][QUEUE_SIZE];
	uint32_t sent, answered, wrong;
};

/* Puts requests into every free slot of queue q. */
static void fill(struct load *l, unsigned q)
{
	for (uintptr_t s = 0; s < QUEUE_SIZE / 2 && l->sent < REQUESTS; s++) {
		uint64_t word = l->sent * UINT64_C(0x9e3779b97f4a7c15);

		if (l->busy[q][s])
			continue;
		memcpy(l->buf[q][s], &word, 8);
		memset(l->buf[q][s] + 8, 0, 8);
		/* The cookie is the slot and one, so that it is never NULL. */
		if (!submit(l->g, q, l->buf[q][s], (void *)(s + 1)))
			return;
		l->busy[q][s] = true;
		l->sent++;
	}
}

/* Takes an answer from queue q; false if none came. */
static bool take(struct load *l, unsigned q, int timeout_ms)
{
	void *cookie = NULL;
	uint32_t len = 0;
	int ret = wait_used(l->g, q, &cookie, &len, timeout_ms);
	uintptr_t s = (uintptr_t)cookie - 1;

	if (ret < 0)
		l->wrong++;
	if (ret != 1)
		return false;
	if (s >= QUEUE_SIZE || !l->busy[q][s] || len != 8 ||
		memcmp(l->buf[q][s], l->buf[q][s] + 8, 8) != 0) {
		l->wrong++;
		return false;
	}
	l->busy[q][s] = false;
	l->answered++;
	return true;
}

static void run_load(struct tap *t, struct guest *g, struct zygote *z)
{
	struct load l = { .g = g };
	uint8_t *pool = guest_alloc(g, QUEUES * QUEUE_SIZE * 16);
	unsigned deaths = 0;

	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned s = 0; s < QUEUE_SIZE; s++)
			l.buf[q][s] = pool + (q * QUEUE_SIZE + s) * 16;
	while (l.answered < REQUESTS && !l.wrong) {
		for (unsigned q = 0; q < QUEUES; q++) {
			fill(&l, q);
			while (take(&l, q, 0))
				;
		}
		if (l.answered / 200 > deaths) {
			deaths++;
			REQUIRE(t, !zygote_kill(z) && !zygote_respawn(z));
		}
		for (unsigned q = 0; q < QUEUES && l.sent > l.answered; q++)
			if (!take(&l, q, 1) && q == 0 && !take(&l, 1, 1))
				take(&l, 0, 50);
	}
	printf("# %u answered, %u deaths\n", l.answered, deaths);
	CHECK_EQ(t, l.wrong, 0);
	CHECK_EQ(t, l.answered, REQUESTS);
	CHECK(t, deaths > 10);
	/* Nothing comes twice. */
	CHECK(t, !take(&l, 0, 20) && !take(&l, 1, 20));
	CHECK_EQ(t, l.wrong, 0);
}

/* kill -9 in the middle of everything: each request is answered exactly once, with its own answer.
 */
static void survives_deaths_under_load(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(ring_features); i++) {
		struct vhu_frontend_opts opts;
		struct zygote z;
		struct guest g;

		printf("# features 0x%llx\n", (unsigned long long)ring_features[i]);
		REQUIRE(t, !zygote_start(&z, "11"));
		opts = options(&z);
		REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, ring_features[i]));
		run_load(t, &g, &z);
		CHECK(t, !happened(g.reset_event, 0));
		guest_end(&g);
		zygote_end(&z);
	}
}

/* Without a back-end the driver's operations work, and take effect with the next one. */
static void works_while_nobody_is_there(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;
	uint8_t v = 0;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	opts.device_id = 2; /* blk: byte 32, "writeback", is state and goes with the device */
	REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, 0));
	echo_once(t, &g, 0, 1);
	CHECK(t, !g.b->ops->config_write(g.b, 32, &(uint8_t){ 0x5a }, 1));
	CHECK(t, !zygote_kill(&z));
	CHECK(t, !g.b->ops->config_read(g.b, 5, &v, 1));
	CHECK_EQ(t, v, 5);
	CHECK(t, !g.b->ops->set_status(g.b, 0));
	CHECK(t, guest_start(&g, FEATURE(VIRTIO_F_RING_PACKED)));
	CHECK(t, !g.b->ops->config_write(g.b, 32, &(uint8_t){ 0x77 }, 1));
	CHECK(t, !zygote_respawn(&z));
	echo_once(t, &g, 0, 2);
	CHECK(t, !g.b->ops->config_read(g.b, 32, &v, 1));
	CHECK_EQ(t, v, 0x77);
	guest_end(&g);
	zygote_end(&z);
}

/* The back-end that answered at creation is not the one that the driver meets. */
static void dies_before_the_driver_comes(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;
	uint8_t v = 0;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	REQUIRE(t, guest_begin(&g, &opts));
	CHECK(t, !zygote_kill(&z));
	CHECK(t, !g.b->ops->config_read(g.b, 7, &v, 1));
	CHECK_EQ(t, v, 7);
	CHECK(t, !zygote_respawn(&z));
	CHECK(t, guest_start(&g, 0));
	echo_once(t, &g, 1, 1);
	guest_end(&g);
	zygote_end(&z);
}

static void gives_up_after_a_while(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	struct guest g;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	opts.give_up_s = 1;
	opts.request_ms = 300;
	REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, 0));
	CHECK(t, !zygote_kill(&z));
	CHECK(t, happened(g.reset_event, TIMEOUT_MS));
	/* It goes on trying: a driver that resets the device then finds it working. */
	CHECK(t, !g.b->ops->set_status(g.b, 0));
	CHECK(t, guest_start(&g, 0));
	CHECK(t, !zygote_respawn(&z));
	echo_once(t, &g, 0, 1);
	guest_end(&g);
	zygote_end(&z);
}

/* Creation and destruction have their time limits, whoever is at the other end. */
static void fails_rather_than_hangs(struct tap *t)
{
	char dir[] = "/tmp/vhu-mute-XXXXXX", path[64];
	struct vhu_frontend_opts opts = { .path = path, .connect_ms = 50 };
	struct err e = { 0 };
	struct guest g;
	struct zygote z;
	uint64_t start;
	int mute;

	REQUIRE(t, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	CHECK(t, !guest_begin(&g, &opts));
	guest_end(&g);
	/* Somebody listens, and never says a word. */
	mute = fd_unix_listen(path, SOCK_STREAM, &e);
	REQUIRE(t, mute >= 0);
	opts.connect_ms = 100;
	CHECK(t, !guest_begin(&g, &opts));
	guest_end(&g);
	close(mute);
	unlink(path);
	rmdir(dir);
	/* Destroyed while the back-end is gone. */
	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, 0));
	CHECK(t, !zygote_kill(&z));
	start = ev_now_ns();
	guest_end(&g);
	CHECK(t, ev_now_ns() - start < UINT64_C(3000000000));
	zygote_end(&z);
}

static void leaves_no_descriptor_behind(struct tap *t)
{
	struct vhu_frontend_opts opts;
	struct zygote z;
	unsigned before;
	struct guest g;

	REQUIRE(t, !zygote_start(&z, "0"));
	opts = options(&z);
	before = vhud_count_fds();
	for (unsigned i = 0; i < 10; i++) {
		REQUIRE(t, guest_begin(&g, &opts) && guest_start(&g, ring_features[i % 6]));
		echo_once(t, &g, 0, i);
		CHECK(t, !zygote_kill(&z) && !zygote_respawn(&z));
		echo_once(t, &g, 1, i);
		guest_end(&g);
	}
	CHECK_EQ(t, vhud_count_fds(), before);
	zygote_end(&z);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, talks_to_a_backend);
	TAP_RUN(&t, passes_refusals_on);
	TAP_RUN(&t, resets_and_restarts);
	TAP_RUN(&t, hears_that_a_reset_is_needed);
	TAP_RUN(&t, survives_deaths_under_load);
	TAP_RUN(&t, works_while_nobody_is_there);
	TAP_RUN(&t, dies_before_the_driver_comes);
	TAP_RUN(&t, gives_up_after_a_while);
	TAP_RUN(&t, fails_rather_than_hangs);
	TAP_RUN(&t, leaves_no_descriptor_behind);
	return tap_done(&t);
}
