/* SPDX-License-Identifier: BSD-3-Clause */
/* The CAN device: what the conformance suite cannot bring about from a driver's side. */
#include <errno.h>
#include <unistd.h>

#include "devices/can.h"
#include "devices/devices.h"
#include "guest.h"
#include "lib/vhud_server.h"

/* At this rate a frame of 8 bytes takes about 25 ms. */
#define SLOW	      "5000"
#define SLOW_FRAME_NS UINT64_C(20000000)

static struct vhud_server srv;

static struct vhud *open_device(struct tap *t, uint64_t features, const char *key,
	const char *value, const char *key2, const char *value2)
{
	struct vhud *d;

	CHECK_EQ(t, vhud_serve(&srv, &vdev_can, key, value, key2, value2, NULL), 0);
	d = vhud_open(srv.path);
	return guest_up(t, d, features) ? d : NULL;
}

static void close_device(struct vhud *d)
{
	vhud_close(d);
	vhud_serve_end(&srv);
}

struct words {
	char *argv[4];
	unsigned argc;
	char text[400];
	int ret;
};

static void say(void *arg)
{
	struct words *w = arg;
	FILE *f = fmemopen(w->text, sizeof(w->text), "w");
	struct err e = { 0 };

	w->ret = srv.dev->cls->command(srv.dev, w->argc, w->argv, f, &e);
	if (w->ret)
		fputs(e.msg, f);
	fclose(f);
}

/* A command of the operator, on the device's thread. */
static int tell(struct words *w, const char *a, const char *b, const char *c)
{
	static char copy[3][40];

	*w = (struct words){ 0 };
	for (const char *const *p = (const char *const[]){ a, b, c, NULL }; *p; p++) {
		snprintf(copy[w->argc], sizeof(copy[0]), "%s", *p);
		w->argv[w->argc] = copy[w->argc];
		w->argc++;
	}
	vhud_serve_call(&srv, say, w);
	return w->ret;
}

static unsigned status(struct vhud *d)
{
	uint16_t v = 0xffff;

	vhud_config_read(d, 0, &v, sizeof(v));
	return v;
}

static void bus_off(struct tap *t)
{
	struct vhud *d = open_device(t, LATE, "bitrate", "100000", NULL, NULL);
	struct words w;

	REQUIRE(t, d);
	CHECK_EQ(t, guest_start(d), 0);
	CHECK_EQ(t, status(d), 0);
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(t, guest_send(d, i));
	CHECK_EQ(t, tell(&w, "bus-off", NULL, NULL), 0);
	CHECK_EQ(t, vhud_config_changed(d, LONG_MS), 1);
	CHECK_EQ(t, status(d), VIRTIO_CAN_S_CTRL_BUSOFF);
	for (unsigned i = 0, failed = 0; i < 4; i++) {
		failed += guest_result(d, LONG_MS) == 1;
		CHECK(t, i < 3 || failed >= 2);
	}
	/* Until it is started again: that takes 1408 bits, 14 ms here. */
	REQUIRE(t, guest_send(d, 5));
	CHECK_EQ(t, guest_result(d, LONG_MS), 1);
	CHECK_EQ(t, guest_start(d), 0);
	CHECK_EQ(t, status(d), 0);
	REQUIRE(t, guest_send(d, 6));
	CHECK_EQ(t, guest_result(d, LONG_MS), 0);
	/* A reset ends it, too. */
	tell(&w, "bus-off", NULL, NULL);
	CHECK_EQ(t, vhud_config_changed(d, LONG_MS), 1);
	CHECK_EQ(t, vhud_reset(d), 0);
	REQUIRE(t, guest_up(t, d, LATE));
	CHECK_EQ(t, status(d), 0);
	close_device(d);
}

/* A reset does not wait for a start that takes its time. */
static void reset_in_recovery(struct tap *t)
{
	struct vhud *d = open_device(t, LATE, "bitrate", "1000", NULL, NULL);
	uint16_t *type = d ? vhud_alloc(d, 4) : NULL;
	struct iovec iov[2] = { { type, 2 }, { type + 1, 1 } };
	struct words w;

	REQUIRE(t, d);
	CHECK_EQ(t, guest_start(d), 0);
	tell(&w, "bus-off", NULL, NULL);
	type[0] = VIRTIO_CAN_SET_CTRL_MODE_START;
	CHECK_EQ(t, vhud_add(d, CONTROLQ, iov, 1, 1, type), 0);
	vhud_kick(d, CONTROLQ);
	CHECK_EQ(t, vhud_wait(d, CONTROLQ, NULL, NULL, 50), 0);
	CHECK_EQ(t, vhud_reset(d), 0);
	REQUIRE(t, guest_up(t, d, LATE));
	close_device(d);
}

static void late_or_early(struct tap *t)
{
	struct vhud *d = open_device(t, LATE, "bitrate", SLOW, NULL, NULL);
	uint64_t begin = ev_now_ns();

	REQUIRE(t, d);
	CHECK_EQ(t, guest_start(d), 0);
	REQUIRE(t, guest_send(d, 1) && guest_send(d, 2));
	CHECK_EQ(t, guest_result(d, LONG_MS), 0);
	CHECK_EQ(t, guest_result(d, LONG_MS), 0);
	CHECK(t, ev_now_ns() - begin >= 2 * SLOW_FRAME_NS);
	close_device(d);

	/* Without LATE_TX_ACK they are answered when they are queued, of which there is an end. */
	d = open_device(t, CLASSIC, "bitrate", "1000", "tx-queue", "5");
	REQUIRE(t, d);
	CHECK_EQ(t, guest_start(d), 0);
	for (unsigned i = 0; i < 8; i++)
		REQUIRE(t, guest_send(d, i));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(t, guest_result(d, LONG_MS), 0);
	CHECK_EQ(t, guest_result(d, 20), -1);
	CHECK_EQ(t, guest_control(d, VIRTIO_CAN_SET_CTRL_MODE_STOP), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(t, guest_result(d, LONG_MS), 1);
	close_device(d);
}

/* A queue that stops has no requests out. */
static void queue_stops(struct tap *t)
{
	struct vhud *d = open_device(t, LATE, "bitrate", "1000", NULL, NULL);
	uint32_t base;

	REQUIRE(t, d);
	CHECK_EQ(t, guest_start(d), 0);
	for (unsigned i = 0; i < 3; i++)
		REQUIRE(t, guest_send(d, i));
	CHECK_EQ(t, guest_result(d, 20), -1);
	CHECK_EQ(t, vhud_queue_stop(d, TXQ, &base), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(t, guest_result(d, LONG_MS), 1);
	CHECK_EQ(t, vhud_queue_resume(d, TXQ, base), 0);
	REQUIRE(t, guest_send(d, 7));
	CHECK_EQ(t, guest_result(d, LONG_MS), 0);
	close_device(d);
}

static void recording(const char *path, unsigned frames)
{
	FILE *f = fopen(path, "w");

	for (unsigned i = 0; f && i < frames; i++)
		fprintf(f, "(1.000000) can0 %03X#%02X\n", i, i);
	if (!f || fclose(f))
		exit(1);
}

static void overrun(struct tap *t)
{
	char path[] = "/tmp/avp-can-drive-XXXXXX";
	int fd = mkstemp(path);
	struct vhud *d;
	uint64_t end = ev_now_ns() + UINT64_C(10000000000);

	REQUIRE(t, fd >= 0);
	recording(path, 60);
	CHECK_EQ(t,
		vhud_serve(&srv, &vdev_can, "bitrate", "0", "rx-queue", "10", "replay", path, NULL),
		0);
	d = vhud_open(srv.path);
	REQUIRE(t, guest_up(t, d, CLASSIC));
	CHECK_EQ(t, guest_start(d), 0);
	while (vhud_serve_metric(&srv, "rx_overruns") < 50 && ev_now_ns() < end)
		usleep(1000);
	CHECK_EQ(t, vhud_serve_metric(&srv, "rx_overruns"), 50);
	for (unsigned i = 0; i < 12; i++)
		guest_offer(d);
	for (unsigned i = 0; i < 10; i++) {
		struct can_message *m = guest_recv(d, LONG_MS);

		REQUIRE(t, m);
		CHECK_EQ(t, m->can_id, i);
	}
	CHECK(t, !guest_recv(d, 20));
	close_device(d);
	close(fd);
	unlink(path);
}

static void commands(struct tap *t)
{
	struct vhud *d = open_device(t, CLASSIC, "bitrate", "0", NULL, NULL);
	struct can_message *m;
	struct words w;

	REQUIRE(t, d);
	CHECK_EQ(t, tell(&w, "show", NULL, NULL), 0);
	CHECK(t, strstr(w.text, "can0") && strstr(w.text, "stopped"));
	CHECK_EQ(t, tell(&w, "bus-off", NULL, NULL), -EINVAL);
	CHECK(t, strstr(w.text, "not on the bus"));
	CHECK_EQ(t, guest_start(d), 0);
	guest_offer(d);
	CHECK_EQ(t, tell(&w, "bus", "send", "123#AABB"), 0);
	m = guest_recv(d, LONG_MS);
	REQUIRE(t, m);
	CHECK(t, m->can_id == 0x123 && m->length == 2 && m->sdu[0] == 0xaa);
	CHECK_EQ(t, tell(&w, "bus", NULL, NULL), -EINVAL);
	CHECK_EQ(t, tell(&w, "jump", NULL, NULL), -EINVAL);
	CHECK_EQ(t, tell(&w, "bus", "show", NULL), 0);
	CHECK(t, strstr(w.text, "operator"));
	close_device(d);
}

static void wrong_keys(struct tap *t)
{
	static const char *const wrong[][2] = { { "bitrate", "999" }, { "bitrate", "2000000" },
		{ "data-bitrate", "1000" }, { "filters", "12" }, { "tx-filters", "x:y" },
		{ "tx-queue", "0" }, { "tx-queue", "65" }, { "tx-order", "lifo" },
		{ "max-load", "101" }, { "replay", "/nonexistent" }, { "log", "/nonexistent/log" },
		{ "rx-queue", "0" }, { "ack", "never" } };

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct vhud_server s;

		if (!CHECK(t, vhud_serve(&s, &vdev_can, wrong[i][0], wrong[i][1], NULL) < 0))
			vhud_serve_end(&s);
	}
}

/* Keys of the bus do not belong to a controller that is plugged into one. */
static void keys_of_the_bus(struct tap *t)
{
	struct canbus_config config = { .bitrate = 500000 };
	struct canport *port;
	struct ev_loop *loop;
	struct err e = { 0 };
	struct canbus *bus;
	struct vdev *dev;

	REQUIRE(t, !ev_loop_create(&loop) && !canbus_create(&bus, &config, "body", loop, NULL, &e));
	for (unsigned i = 0; i < 2; i++) {
		REQUIRE(t, !vdev_new(&dev, &vdev_can, &e));
		CHECK_EQ(t, opt_set(vdev_can.opts, dev, "tx-queue", "3", &e), 0);
		if (i == 1)
			opt_set(vdev_can.opts, dev, "bitrate", "125000", &e);
		REQUIRE(t, !canbus_add_port(bus, i ? "a" : "b", can_port_config(dev), &port, &e));
		can_attach(dev, port);
		CHECK_EQ(t, vdev_init(dev, loop, NULL, &e), i ? -EINVAL : 0);
		CHECK(t, !i || strstr(e.msg, "bitrate"));
		vdev_destroy(dev);
	}
	canbus_destroy(bus);
	ev_loop_destroy(loop);
}

/* Each frame that waited when the process died is sent by the next one, and answered once. */
static void killed(struct tap *t)
{
	struct vhud_proc p;
	struct vhud *d;

	REQUIRE(t, !vhud_spawn(&p, "can", "--bitrate", SLOW, NULL));
	d = vhud_open(p.path);
	REQUIRE(t, guest_up(t, d, LATE));
	CHECK_EQ(t, guest_start(d), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 4; i++)
			REQUIRE(t, guest_send(d, i));
		CHECK_EQ(t, guest_result(d, LONG_MS), 0);
		vhud_kill(&p);
		REQUIRE(t, !vhud_respawn(&p) && !vhud_reconnect(d));
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(t, guest_result(d, LONG_MS), 0);
		CHECK_EQ(t, guest_result(d, 30), -1);
	}
	vhud_close(d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, bus_off);
	TAP_RUN(&t, reset_in_recovery);
	TAP_RUN(&t, late_or_early);
	TAP_RUN(&t, queue_stops);
	TAP_RUN(&t, overrun);
	TAP_RUN(&t, commands);
	TAP_RUN(&t, wrong_keys);
	TAP_RUN(&t, keys_of_the_bus);
	TAP_RUN(&t, killed);
	return tap_done(&t);
}
