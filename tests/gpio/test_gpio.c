/* SPDX-License-Identifier: BSD-3-Clause */
/* The GPIO device: configuration, requests, interrupts, what it makes of everything malformed. */
#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "devices/gpio.h"
#include "lib/vhud_server.h"
#include "lines.h"
#include "tap.h"

#define SPLIT	 (FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))
#define PACKED	 (SPLIT | FEATURE(VIRTIO_F_RING_PACKED))
#define QUIET_MS 30

static uint64_t ring; /* layout of this run of the cases */

struct rig {
	struct vhud_server srv;
	struct vhud *d;
};

/* A buffer of eventq. */
struct event {
	uint16_t *gpio;
	uint8_t *status;
};

static bool rig_open_as(struct tap *t, struct rig *r, uint64_t features, const char *lines)
{
	const struct vhud_opts opts = { .features = ring | features, .nqueues = 2 };

	memset(r, 0, sizeof(*r));
	if (!CHECK_EQ(t, vhud_serve(&r->srv, &vdev_gpio, "lines", lines, NULL), 0))
		return false;
	r->d = vhud_open(r->srv.path);
	return CHECK_EQ(t, vhud_start(r->d, &opts), 0);
}

static bool rig_open(struct tap *t, struct rig *r, const char *lines)
{
	return rig_open_as(t, r, F_IRQ, lines);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
}

struct words {
	struct rig *r;
	char text[100];
	char *answer;
	size_t size;
	int ret;
};

static void do_tell(void *arg)
{
	struct words *w = arg;
	char *argv[8], *save = NULL;
	struct err e = { 0 };
	unsigned argc = 0;
	FILE *f = fmemopen(w->answer, w->size, "w");

	for (char *s = strtok_r(w->text, " ", &save); s && argc < 8; s = strtok_r(NULL, " ", &save))
		argv[argc++] = s;
	w->ret = vdev_gpio.command(w->r->srv.dev, argc, argv, f, &e);
	fclose(f);
	if (w->ret)
		snprintf(w->answer, w->size, "%.500s", e.msg);
}

/* A command of the operator. */
static int tell(struct rig *r, const char *text, char answer[600])
{
	char scratch[600];
	struct words w = { .r = r, .answer = answer ? answer : scratch, .size = 600 };

	memset(w.answer, 0, w.size);
	snprintf(w.text, sizeof(w.text), "%s", text);
	vhud_serve_call(&r->srv, do_tell, &w);
	return w.ret;
}

static struct event event_new(struct rig *r, uint16_t gpio)
{
	struct event ev = { vhud_alloc(r->d, 2), vhud_alloc(r->d, 1) };

	*ev.gpio = gpio;
	return ev;
}

/* Unmasks. */
static void queue(struct tap *t, struct rig *r, struct event *ev)
{
	struct iovec iov[2] = { { ev->gpio, 2 }, { ev->status, 1 } };

	*ev->status = 0xa5;
	CHECK_EQ(t, vhud_add(r->d, EVENTQ, iov, 1, 1, ev), 0);
	vhud_kick(r->d, EVENTQ);
}

/* The buffer comes back with this status. */
static bool returned(struct tap *t, struct rig *r, const struct event *ev, uint8_t status)
{
	void *token = NULL;
	uint32_t len = 0;

	return CHECK_EQ(t, vhud_wait(r->d, EVENTQ, &token, &len, WAIT_MS), 1) &&
	       CHECK(t, token == ev) && CHECK_EQ(t, len, 1) && CHECK_EQ(t, *ev->status, status);
}

/* No buffer comes back. A request in between sees that the device had its turn. */
static bool quiet(struct tap *t, struct rig *r)
{
	return CHECK(t, gpio_ask(r->d, GET_DIRECTION, 0, 0) >= 0) &&
	       CHECK_EQ(t, vhud_wait(r->d, EVENTQ, NULL, NULL, QUIET_MS), 0);
}

static void config(struct tap *t)
{
	struct rig r;
	uint8_t c[8];
	struct {
		uint16_t type, gpio;
		uint32_t value;
	} req = { NAMES, 0, 0 };
	static const char want[] = "\0MMC-CD\0\0\0\0\0Red LED Vdd\0";
	uint8_t names[64];

	REQUIRE(t, rig_open(t, &r, "MMC-CD sim,gap 3,- sim,'Red LED Vdd' sim"));
	CHECK_EQ(t, vhud_config_read(r.d, 0, c, 8), 0);
	CHECK(t, c[0] == 6 && !c[1] && !c[2] && !c[3]);
	CHECK(t, c[4] == sizeof(want) - 2 && !c[5] && !c[6] && !c[7]);
	CHECK(t, vhud_features(r.d) & F_IRQ);
	CHECK(t, !(vhud_features(r.d) & FEATURE(VIRTIO_F_IN_ORDER)));
	memset(names, 0xa5, sizeof(names));
	CHECK_EQ(t, vhud_do(r.d, REQUESTQ, &req, sizeof(req), names, sizeof(names)),
		(long long)sizeof(want) - 1);
	CHECK(t, !memcmp(names, want, sizeof(want) - 1));
	/* Exactly as much room as needed, and one byte less. */
	memset(names, 0xa5, sizeof(names));
	CHECK_EQ(t, vhud_do(r.d, REQUESTQ, &req, sizeof(req), names, sizeof(want) - 1),
		(long long)sizeof(want) - 1);
	CHECK_EQ(t, names[0], OK);
	CHECK_EQ(t, vhud_do(r.d, REQUESTQ, &req, sizeof(req), names, sizeof(want) - 2),
		(long long)sizeof(want) - 2);
	CHECK_EQ(t, names[0], ERR);
	rig_close(&r);
}

static void no_names(struct tap *t)
{
	struct rig r;
	uint8_t c[8];

	REQUIRE(t, rig_open(t, &r, "- sim,gap"));
	CHECK_EQ(t, vhud_config_read(r.d, 0, c, 8), 0);
	CHECK(t, c[0] == 2 && !c[4] && !c[5]);
	CHECK_EQ(t, gpio_ask(r.d, NAMES, 0, 0), ERR);
	rig_close(&r);
}

static void as_many_as_there_can_be(struct tap *t)
{
	struct rig r;
	uint8_t c[8], *names = malloc(70000);
	struct {
		uint16_t type, gpio;
		uint32_t value;
	} req = { NAMES, 0, 0 };

	REQUIRE(t, rig_open(t, &r, "first sim,gap 65533,last sim"));
	CHECK_EQ(t, vhud_config_read(r.d, 0, c, 8), 0);
	CHECK(t, c[0] == 0xff && c[1] == 0xff);
	CHECK_EQ(t, c[4] | c[5] << 8 | c[6] << 16, 65535 + 5 + 4);
	CHECK_EQ(t, vhud_do(r.d, REQUESTQ, &req, sizeof(req), names, 70000), 1 + 65535 + 9);
	CHECK(t, names && !strcmp((char *)names + 1 + 65535 + 9 - 5, "last"));
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 65534, IN), OK);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 65535, 0), ERR);
	free(names);
	rig_close(&r);
}

static void directions(struct tap *t)
{
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a sim,b sim in,c sim out,gap"));
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), NONE << 8);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), OUT << 8);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), IN << 8);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, 3), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, 0x10001), ERR);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), IN << 8);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, NONE), OK);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), NONE << 8);
	/* Lines that go one way only, and none at all. */
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, OUT), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 1, 1), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, IN), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, IN), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 2, RISING), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, OUT), OK);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 3, 0), NONE << 8);
	for (unsigned type = SET_DIRECTION; type <= SET_IRQ; type++)
		CHECK_EQ(t, gpio_ask(r.d, (uint16_t)type, 3, 1), ERR);
	/* No such line, no such message. */
	for (unsigned type = NAMES + 1; type <= SET_IRQ; type++)
		CHECK_EQ(t, gpio_ask(r.d, (uint16_t)type, 4, 0), ERR);
	CHECK_EQ(t, gpio_ask(r.d, 0, 0, 0), ERR);
	CHECK_EQ(t, gpio_ask(r.d, 7, 0, 0), ERR);
	CHECK_EQ(t, gpio_ask(r.d, 0xffff, 0xffff, 0xffffffff), ERR);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "errors") > 10, 1);
	rig_close(&r);
}

static void values(struct tap *t)
{
	struct rig r;

	REQUIRE(t,
		rig_open(t, &r, "out wire:w,in wire:w,od wire:x open-drain,od2 wire:x open-drain"));
	/* The value comes first, and is used with the direction. */
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, IN), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 1);
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 0), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 2), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 0x100), ERR);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	/* NONE forgets the value. */
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, NONE), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	/* IN does not. */
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 1);
	/* An open drain does not drive high. */
	CHECK_EQ(t, tell(&r, "set od 1", NULL), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 2, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, OUT), OK);
	CHECK_EQ(t, gpio_level(r.d, 3), 1);
	CHECK_EQ(t, tell(&r, "set od z", NULL), 0);
	CHECK_EQ(t, gpio_level(r.d, 3), 0);
	rig_close(&r);
}

static void safe_level(struct tap *t)
{
	struct rig r;
	char out[600];

	REQUIRE(t, rig_open(t, &r, "reset wire:r out=1,see wire:r in"));
	CHECK_EQ(t, gpio_level(r.d, 1), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, NONE), OK);
	CHECK_EQ(t, gpio_level(r.d, 1), 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	/* A guest that is gone lets go. */
	vhud_close(r.d);
	r.d = NULL;
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(t, tell(&r, "get see", out), 0);
		if (strstr(out, " 1 driven"))
			break;
		usleep(10000);
	}
	CHECK(t, strstr(out, "1 see: unused; net r 1 driven by gpio reset: 1\n"));
	vhud_serve_end(&r.srv);
}

static void edges(struct tap *t)
{
	static const struct {
		uint8_t type;
		bool up, down;
	} kinds[] = { { RISING, true, false }, { FALLING, false, true }, { BOTH, true, true } };
	struct event ev;
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a sim,b sim"));
	ev = event_new(&r, 1);
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 1, IN), OK);
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 1, kinds[i].type), OK);
		queue(t, &r, &ev);
		CHECK(t, quiet(t, &r));
		CHECK_EQ(t, tell(&r, "set b 1", NULL), 0);
		if (kinds[i].up && returned(t, &r, &ev, VALID))
			queue(t, &r, &ev);
		CHECK(t, quiet(t, &r));
		CHECK_EQ(t, tell(&r, "set b 0", NULL), 0);
		if (kinds[i].down && returned(t, &r, &ev, VALID))
			queue(t, &r, &ev);
		CHECK(t, quiet(t, &r));
		/* Another line's edges are not this one's. */
		CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
		CHECK_EQ(t, tell(&r, "set a 0", NULL), 0);
		CHECK(t, quiet(t, &r));
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 1, IRQ_OFF), OK);
		CHECK(t, returned(t, &r, &ev, INVALID));
	}
	rig_close(&r);
}

static void latches_edges(struct tap *t)
{
	struct event ev;
	struct rig r;
	char out[600];

	REQUIRE(t, rig_open(t, &r, "a sim"));
	ev = event_new(&r, 0);
	/* Not before it is enabled. */
	CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
	CHECK_EQ(t, tell(&r, "set a 0", NULL), 0);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	queue(t, &r, &ev);
	CHECK(t, quiet(t, &r));
	CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
	CHECK(t, returned(t, &r, &ev, VALID));
	/* Masked now: however many there are, one is remembered. */
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(t, tell(&r, "set a 0", NULL), 0);
		CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
	}
	CHECK_EQ(t, tell(&r, "get a", out), 0);
	CHECK(t, strstr(out, "0 a: unused irq=rising (masked, latched); net a 1"));
	queue(t, &r, &ev);
	CHECK(t, returned(t, &r, &ev, VALID));
	queue(t, &r, &ev);
	CHECK(t, quiet(t, &r));
	CHECK_EQ(t, tell(&r, "set a 0", NULL), 0);
	CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
	CHECK(t, returned(t, &r, &ev, VALID));
	/* What is latched goes when the interrupt is disabled, and with direction NONE. */
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(t, tell(&r, "set a 0", NULL), 0);
		CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
		CHECK_EQ(t, gpio_ask(r.d, i ? SET_DIRECTION : SET_IRQ, 0, 0), OK);
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
		queue(t, &r, &ev);
		CHECK(t, quiet(t, &r));
		CHECK_EQ(t, gpio_ask(r.d, i ? SET_IRQ : SET_DIRECTION, 0, 0), OK);
		CHECK(t, returned(t, &r, &ev, INVALID));
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	}
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "irqs_latched"), 3);
	rig_close(&r);
}

static void levels(struct tap *t)
{
	struct event ev;
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a sim =1"));
	ev = event_new(&r, 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *active = i ? "set a 0" : "set a 1", *idle = i ? "set a 1" : "set a 0";

		CHECK_EQ(t, tell(&r, active, NULL), 0);
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, i ? LOW : HIGH), OK);
		/* As long as it is active, each buffer comes back. */
		for (unsigned n = 0; n < 3; n++) {
			queue(t, &r, &ev);
			CHECK(t, returned(t, &r, &ev, VALID));
		}
		/* Not remembered. */
		CHECK_EQ(t, tell(&r, idle, NULL), 0);
		CHECK_EQ(t, tell(&r, active, NULL), 0);
		CHECK_EQ(t, tell(&r, idle, NULL), 0);
		queue(t, &r, &ev);
		CHECK(t, quiet(t, &r));
		CHECK_EQ(t, tell(&r, active, NULL), 0);
		CHECK(t, returned(t, &r, &ev, VALID));
		CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, IRQ_OFF), OK);
	}
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "irqs_latched"), 0);
	rig_close(&r);
}

static void buffers_without_an_interrupt(struct tap *t)
{
	struct event ev, second, other;
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a sim,b sim"));
	ev = event_new(&r, 0);
	second = event_new(&r, 0);
	other = event_new(&r, 2);
	/* Not enabled; no such line; a second buffer for one line. */
	queue(t, &r, &ev);
	CHECK(t, returned(t, &r, &ev, INVALID));
	queue(t, &r, &other);
	CHECK(t, returned(t, &r, &other, INVALID));
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	queue(t, &r, &ev);
	queue(t, &r, &second);
	CHECK(t, returned(t, &r, &second, INVALID));
	CHECK_EQ(t, tell(&r, "set a 1", NULL), 0);
	CHECK(t, returned(t, &r, &ev, VALID));
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "irqs"), 1);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "irqs_returned"), 3);
	rig_close(&r);
}

static void irq_types(struct tap *t)
{
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a sim"));
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, 5), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, 12), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, 0x10001), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), OK);
	/* Another one only after it was disabled; and no output meanwhile. */
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, HIGH), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, IRQ_OFF), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, IRQ_OFF), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, HIGH), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, IRQ_OFF), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), ERR);
	rig_close(&r);
	/* Without the feature there are none. */
	REQUIRE(t, rig_open_as(t, &r, 0, "a sim"));
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, RISING), ERR);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, IRQ_OFF), ERR);
	rig_close(&r);
}

static void reset_forgets(struct tap *t)
{
	const struct vhud_opts opts = { .features = ring | F_IRQ, .nqueues = 2 };
	struct event ev;
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "a wire:w,b wire:w"));
	ev = event_new(&r, 1);
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 1, FALLING), OK);
	queue(t, &r, &ev);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK_EQ(t, *ev.status, 0xa5);
	CHECK_EQ(t, vhud_start(r.d, &opts), 0);
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), NONE << 8);
	CHECK_EQ(t, gpio_level(r.d, 1), 0);
	ev = event_new(&r, 1);
	queue(t, &r, &ev);
	CHECK(t, returned(t, &r, &ev, INVALID));
	rig_close(&r);
}

/* Requests of every length below the right one, and with any bytes behind it. */
static void malformed(struct tap *t)
{
	uint8_t req[32] = { GET_DIRECTION }, resp[32], *status;
	struct event ev;
	struct rig r;
	void *token;
	uint32_t len;

	REQUIRE(t, rig_open(t, &r, "a sim"));
	for (size_t n = 0; n < 8; n++) {
		memset(resp, 0xa5, sizeof(resp));
		CHECK_EQ(t, vhud_do(r.d, REQUESTQ, req, n, resp, sizeof(resp)), 2);
		CHECK(t, resp[0] == ERR && !resp[1]);
	}
	CHECK_EQ(t, vhud_do(r.d, REQUESTQ, req, sizeof(req), resp, 2), 2);
	CHECK_EQ(t, resp[0], OK);
	/* A buffer of eventq without a whole line number. */
	CHECK_EQ(t, gpio_ask(r.d, SET_IRQ, 0, HIGH), OK);
	ev = event_new(&r, 0);
	for (unsigned n = 0; n < 2; n++) {
		struct iovec iov[2] = { { ev.gpio, 1 }, { ev.status, 1 } };

		*ev.status = 0xa5;
		CHECK_EQ(t, vhud_add(r.d, EVENTQ, iov + !n, n, 1, ev.status), 0);
		vhud_kick(r.d, EVENTQ);
		CHECK_EQ(t, vhud_wait(r.d, EVENTQ, &token, &len, WAIT_MS), 1);
		CHECK(t, len == 1 && *ev.status == INVALID);
	}
	status = vhud_alloc(r.d, 1);
	CHECK(t, status && vhud_do(r.d, REQUESTQ, req, 8, resp, 2) == 2);
	rig_close(&r);
}

/* No room for what must be written: the queue is broken, and a reset mends it. */
static void no_room(struct tap *t)
{
	const struct vhud_opts opts = { .features = ring | F_IRQ, .nqueues = 2 };
	struct rig r;

	for (unsigned q = 0; q < 2; q++)
		for (unsigned n = 0; n < (q ? 1u : 2u); n++) {
			uint8_t *req;
			struct iovec iov[2];

			REQUIRE(t, rig_open(t, &r, "a sim"));
			req = vhud_alloc(r.d, 64);
			memset(req, 0, 64);
			*req = GET_VALUE;
			iov[0] = (struct iovec){ req, q ? 2 : 8 };
			iov[1] = (struct iovec){ req + 32, n };
			CHECK_EQ(t, vhud_add(r.d, q, iov, 1, n, req), 0);
			vhud_kick(r.d, q);
			CHECK(t, vhud_needs_reset(r.d));
			CHECK_EQ(t, vhud_reset(r.d), 0);
			CHECK_EQ(t, vhud_start(r.d, &opts), 0);
			CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, IN), OK);
			rig_close(&r);
		}
}

/* A process that is killed, and a state file that is anything. */
static void state(struct tap *t)
{
	static const uint32_t words[] = { 0, 0xffffffff, 0x300, 1 | 0x300, 3, 0x700, 0x811, 0x102,
		0x12345678, 6 };
	const struct vhud_opts opts = { .features = ring | F_IRQ, .nqueues = 2 };
	char path[] = "/tmp/avp-gpio-state-XXXXXX";
	struct vhud_proc p;
	struct rig r;
	int fd = mkstemp(path), response;

	REQUIRE(t, fd >= 0);
	REQUIRE(t, !vhud_spawn(&p, "gpio", "--lines", "a wire:w", "--lines", "gap", "--lines",
			   "b wire:w in", "--state", path, NULL));
	r.d = vhud_open(p.path);
	REQUIRE(t, !vhud_start(r.d, &opts));
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 0, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 0, OUT), OK);
	vhud_kill(&p);
	REQUIRE(t, !vhud_respawn(&p) && !vhud_reconnect(r.d));
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), OUT << 8);
	CHECK_EQ(t, gpio_level(r.d, 2), 1);
	for (unsigned i = 0; i < 3 * ARRAY_LEN(words); i++) {
		vhud_kill(&p);
		CHECK_EQ(t, pwrite(fd, &words[i / 3], 4, 4 * (i % 3)), 4);
		REQUIRE(t, !vhud_respawn(&p) && !vhud_reconnect(r.d));
		/* Whatever it was, the lines are in a state that a driver can ask for. */
		CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 1, 0), NONE << 8);
		response = gpio_ask(r.d, GET_DIRECTION, 2, 0);
		CHECK(t, response == NONE << 8 || response == IN << 8);
		CHECK(t, gpio_level(r.d, 2) >= 0);
	}
	/* Of another size it is none. */
	vhud_kill(&p);
	CHECK_EQ(t, ftruncate(fd, 5), 0);
	REQUIRE(t, !vhud_respawn(&p) && !vhud_reconnect(r.d));
	CHECK_EQ(t, gpio_ask(r.d, GET_DIRECTION, 0, 0), NONE << 8);
	vhud_close(r.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	close(fd);
	unlink(path);
}

static void operator(struct tap *t)
{
	char out[600];
	struct rig r;

	REQUIRE(t, rig_open(t, &r, "door sim,gap,lamp sim out,5 sim"));
	CHECK_EQ(t, tell(&r, "get", out), 0);
	CHECK(t, !strcmp(out, "0 door: unused; net door 0 pulled down\n"
			      "2 lamp: unused; net lamp 0 pulled down\n"
			      "3 5: unused; net 5 0 pulled down\n"));
	CHECK_EQ(t, gpio_ask(r.d, SET_VALUE, 2, 1), OK);
	CHECK_EQ(t, gpio_ask(r.d, SET_DIRECTION, 2, OUT), OK);
	CHECK_EQ(t, tell(&r, "get 2", out), 0);
	CHECK(t, !strcmp(out, "2 lamp: out; net lamp 1 driven by gpio lamp: 1\n"));
	CHECK_EQ(t, tell(&r, "set 0 1", out), 0);
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	CHECK_EQ(t, tell(&r, "stuck door 0", out), 0);
	CHECK_EQ(t, gpio_level(r.d, 0), 0);
	CHECK_EQ(t, tell(&r, "stuck door off", out), 0);
	CHECK_EQ(t, gpio_level(r.d, 0), 1);
	/* A name goes before a number. */
	CHECK_EQ(t, tell(&r, "set 5 1", out), 0);
	CHECK_EQ(t, gpio_level(r.d, 3), 1);
	CHECK_EQ(t, tell(&r, "set doro 1", out), -EINVAL);
	CHECK(t, strstr(out, "did you mean 'door'?"));
	CHECK_EQ(t, tell(&r, "set 4 1", out), -EINVAL);
	CHECK_EQ(t, tell(&r, "set 1 1", out), -EINVAL);
	CHECK_EQ(t, tell(&r, "set door", out), -EINVAL);
	CHECK_EQ(t, tell(&r, "set door 3", out), -EINVAL);
	CHECK_EQ(t, tell(&r, "jump door", out), -EINVAL);
	CHECK_EQ(t, tell(&r, "replay", out), -EINVAL);
	rig_close(&r);
}

static void refused_lines(struct tap *t)
{
	static const struct {
		const char *lines, *says;
	} bad[] = {
		{ "gap 0", "1 to 65535" },
		{ "gap x", "1 to 65535" },
		{ "gap 65536", "1 to 65535" },
		{ "a sim,gap 65535", "at most 65535" },
		{ "a", "is not sim" },
		{ "a simm", "is not sim" },
		{ "a sim upside", "unknown word 'upside'" },
		{ "a sim in out", "exclude" },
		{ "a sim =2", "unknown word" },
		{ "a wire:w =1", "simulated" },
		{ "a wire:w pull=up", "property of its net" },
		{ "a wire:", "net" },
		{ "a sim active-low", "lines of the host" },
		{ "a chip:0", "CHIP/LINE" },
		{ "a chip:/5", "CHIP/LINE" },
		{ "a chip:none-such/5", "none-such" },
		{ "a sim,a sim", "'a'" },
		{ "a sim,a wire:w", "'a'" },
		{ "'a sim", "quotation mark" },
		{ "'a'b sim", "quotation mark" },
		{ "'' sim", "1 to 63" },
		{ "a\xc3\xa4 sim", "ASCII" },
		{ "0123456789012345678901234567890123456789012345678901234567890123 sim",
			"1 to 63" },
	};
	struct ev_loop *loop;
	struct log log;

	log_init(&log, STDERR_FILENO, "gpio");
	REQUIRE(t, !ev_loop_create(&loop));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		struct vdev *dev;

		REQUIRE(t, !vdev_new(&dev, &vdev_gpio, &e));
		CHECK_EQ(t, opt_set(vdev_gpio.opts, dev, "lines", bad[i].lines, &e), 0);
		if (!CHECK(t, vdev_init(dev, loop, &log, &e) < 0) ||
			!CHECK(t, strstr(e.msg, bad[i].says)))
			printf("# '%s': %s\n", bad[i].lines, e.msg);
		vdev_destroy(dev);
	}
	ev_loop_destroy(loop);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, refused_lines);
	for (unsigned i = 0; i < 2; i++) {
		ring = i ? PACKED : SPLIT;
		printf("# %s rings\n", i ? "packed" : "split");
		TAP_RUN(&t, config);
		TAP_RUN(&t, no_names);
		TAP_RUN(&t, as_many_as_there_can_be);
		TAP_RUN(&t, directions);
		TAP_RUN(&t, values);
		TAP_RUN(&t, safe_level);
		TAP_RUN(&t, edges);
		TAP_RUN(&t, latches_edges);
		TAP_RUN(&t, levels);
		TAP_RUN(&t, buffers_without_an_interrupt);
		TAP_RUN(&t, irq_types);
		TAP_RUN(&t, reset_forgets);
		TAP_RUN(&t, malformed);
		TAP_RUN(&t, no_room);
		TAP_RUN(&t, state);
		TAP_RUN(&t, operator);
	}
	return tap_done(&t);
}
