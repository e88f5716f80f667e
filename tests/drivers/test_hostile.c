/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices that lie: the drivers notice, and touch nothing outside their memory. */
#include "drivers/blk.h"
#include "drivers/console.h"
#include "drivers/gpio.h"
#include "drivers/i2c.h"
#include "drivers/net.h"
#include "drivers/rng.h"
#include "drivers/rtc.h"
#include "drivers/scmi.h"
#include "drivers/spi.h"
#include "drivers/vsock.h"
#include "tap.h"
#include "toy.h"

#define ALL                                                                                        \
	(UINT64_MAX & ~DRV_FEATURE(VIRTIO_F_RING_PACKED) & ~DRV_FEATURE(VIRTIO_F_IN_ORDER) &       \
		~DRV_FEATURE(VIRTIO_F_EVENT_IDX))
#define SECOND UINT64_C(1000000000)

/* What one answer is like. */
struct answer {
	const void *data;
	uint32_t len;	/* of data */
	int32_t used;	/* -1: what was written */
	int32_t id;	/* -1: the right one */
	bool keep;	/* do not answer */
	unsigned queue; /* other queues are answered rightly */
};

static void lie(struct toy *toy, const struct toy_chain *c)
{
	static const uint8_t zeroes[4096];
	const struct answer *a = toy->ctx;
	uint32_t n;

	if (c->q != a->queue) {
		if (c->q & 1) /* receive queues stay as they are */
			toy_put(toy, c->q, c->id, c->ndesc, toy_fill(c, zeroes, sizeof(zeroes)));
		return;
	}
	if (a->keep)
		return;
	n = toy_fill(c, a->data ? a->data : zeroes, a->data ? a->len : sizeof(zeroes));
	toy_put(toy, c->q, a->id < 0 ? c->id : (uint16_t)a->id, c->ndesc,
		a->used < 0 ? n : (uint32_t)a->used);
}

static void lying(struct toy *toy, uint16_t id, struct answer *a)
{
	toy_open(toy, id, ALL);
	toy->serve = lie;
	toy->ctx = a;
}

static void rng(struct tap *t)
{
	static const struct {
		struct answer a;
		int result;
	} cases[] = {
		{ { .used = -1, .id = -1 }, 0 },
		{ { .used = 17, .id = -1 }, DRV_BROKEN },
		{ { .used = INT32_MAX, .id = -1 }, DRV_BROKEN },
		{ { .used = 0, .id = -1 }, DRV_BROKEN },
		{ { .used = 16, .id = 1 }, DRV_BROKEN },
		{ { .used = 16, .id = 60000 }, DRV_BROKEN },
		{ { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = cases[i].a;
		struct toy toy;
		struct drv_rng rng;
		uint8_t *buf;

		lying(&toy, DRV_ID_RNG, &a);
		buf = toy.mem + TOY_MEM - 16; /* then the memory ends */
		REQUIRE(t, !drv_rng_open(&rng, toy.dev));
		CHECK_EQ(t, drv_rng_read(&rng, buf, 16, toy.now + SECOND), cases[i].result);
		toy_close(&toy);
	}
}

/* A message of two bytes that is read: data, and the status behind it. */
static void i2c(struct tap *t)
{
	static const struct {
		uint8_t bytes[3];
		struct answer a;
		int result;
	} cases[] = {
		{ { 1, 2, 0 }, { .used = -1, .id = -1 }, 0 },
		{ { 1, 2, 1 }, { .used = -1, .id = -1 }, DRV_ERROR },
		{ { 1, 2, 1 }, { .used = 1, .id = -1 }, DRV_ERROR },
		{ { 1, 2, 2 }, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 0, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 2, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 4, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 3, .id = 60000 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		struct answer a = cases[k].a;
		struct drv_i2c i;
		struct toy toy;
		uint8_t *in;

		a.data = cases[k].bytes;
		a.len = 3;
		lying(&toy, DRV_ID_I2C, &a);
		in = toy.mem + TOY_MEM - 2;
		in[0] = in[1] = 0xa5;
		REQUIRE(t, !drv_i2c_open(&i, toy.dev));
		CHECK_EQ(t, drv_i2c_write_read(&i, 0x50, NULL, 0, in, 2), cases[k].result);
		CHECK_EQ(t, in[0], cases[k].result ? 0xa5 : 1);
		toy_close(&toy);
	}
}

static void spi(struct tap *t)
{
	static const struct {
		uint8_t bytes[3];
		struct answer a;
		int result;
	} cases[] = {
		{ { 1, 2, 0 }, { .used = -1, .id = -1 }, 0 },
		{ { 1, 2, 1 }, { .used = -1, .id = -1 }, DRV_REFUSED },
		{ { 1, 2, 2 }, { .used = -1, .id = -1 }, DRV_ERROR },
		{ { 1, 2, 3 }, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 1, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 4, .id = -1 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .used = 3, .id = 60000 }, DRV_BROKEN },
		{ { 1, 2, 0 }, { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		struct drv_spi_head head = { .bits_per_word = 8 };
		struct answer a = cases[k].a;
		struct drv_spi s;
		struct toy toy;
		uint8_t *in;

		a.data = cases[k].bytes;
		a.len = 3;
		lying(&toy, DRV_ID_SPI, &a);
		in = toy.mem + TOY_MEM - 2;
		in[0] = in[1] = 0xa5;
		REQUIRE(t, !drv_spi_open(&s, toy.dev));
		CHECK_EQ(t, drv_spi_transfer(&s, &head, NULL, in, 2), cases[k].result);
		CHECK_EQ(t, in[0], cases[k].result ? 0xa5 : 1);
		toy_close(&toy);
	}
}

static void rtc(struct tap *t)
{
	static uint8_t data[24];
	static const struct {
		uint8_t status;
		struct answer a;
		int result;
	} cases[] = {
		{ 0, { .used = -1, .id = -1 }, 0 },
		{ 1, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ 2, { .used = -1, .id = -1 }, DRV_UNSUPPORTED },
		{ 3, { .used = -1, .id = -1 }, DRV_GONE },
		{ 4, { .used = -1, .id = -1 }, DRV_INVALID },
		{ 5, { .used = -1, .id = -1 }, DRV_ERROR },
		{ 0xff, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 0, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 15, .id = -1 }, DRV_BROKEN },
		{ 3, { .used = 1, .id = -1 }, DRV_GONE },
		{ 0, { .used = 17, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 16, .id = 60000 }, DRV_BROKEN },
		{ 0, { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = { .data = data, .len = sizeof(data), .used = -1, .id = -1 };
		struct drv_rtc rtc;
		struct toy toy;
		uint64_t time;

		data[0] = 0;
		lying(&toy, DRV_ID_RTC, &a);
		REQUIRE(t, !drv_rtc_open(&rtc, toy.dev));
		data[0] = cases[i].status;
		a = cases[i].a;
		a.data = data;
		a.len = sizeof(data);
		CHECK_EQ(t, drv_rtc_read(&rtc, 0, &time), cases[i].result);
		toy_close(&toy);
	}
}

/* Each lie, told to drv_gpio_get(). */
static void gpio(struct tap *t)
{
	static const uint8_t odd_status[] = { 2, 0 }, error[] = { 1, 0 }, odd_value[] = { 0, 2 };
	static const struct {
		struct answer a;
		int result;
	} cases[] = {
		{ { .used = -1, .id = -1 }, 0 },
		{ { .data = error, .len = 2, .used = -1, .id = -1 }, DRV_ERROR },
		{ { .data = odd_status, .len = 2, .used = -1, .id = -1 }, DRV_BROKEN },
		{ { .data = odd_value, .len = 2, .used = -1, .id = -1 }, DRV_BROKEN },
		{ { .used = 1, .id = -1 }, DRV_BROKEN },
		{ { .used = 3, .id = -1 }, DRV_BROKEN },
		{ { .used = 2, .id = 60000 }, DRV_BROKEN },
		{ { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = cases[i].a;
		struct drv_gpio g;
		struct toy toy;
		bool high;

		lying(&toy, DRV_ID_GPIO, &a);
		toy.config[0] = 3;
		REQUIRE(t, !drv_gpio_open(&g, toy.dev));
		CHECK_EQ(t, drv_gpio_get(&g, 2, &high), cases[i].result);
		toy_close(&toy);
	}
}

/* The same for events, and for the block of names. */
static void gpio_events(struct tap *t)
{
	static const uint8_t valid[] = { 1 }, odd[] = { 2 };
	static const struct {
		struct answer a;
		int result;
	} cases[] = {
		{ { .data = valid, .len = 1, .used = -1, .id = -1 }, 0 },
		{ { .data = odd, .len = 1, .used = -1, .id = -1 }, DRV_BROKEN },
		{ { .data = valid, .len = 1, .used = 0, .id = -1 }, DRV_BROKEN },
		{ { .used = -1, .id = -1 }, DRV_TIMEOUT }, /* INVALID */
		{ { .data = valid, .len = 1, .used = 1, .id = 60000 }, DRV_BROKEN },
		{ { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = cases[i].a, honest = { .used = -1, .id = -1, .queue = 7 };
		struct drv_gpio g;
		struct toy toy;
		uint16_t line = 0;
		int r;

		lying(&toy, DRV_ID_GPIO, &honest);
		toy.config[0] = 3;
		honest.queue = 0;
		REQUIRE(t, !drv_gpio_open(&g, toy.dev));
		CHECK_EQ(t, drv_gpio_set_direction(&g, 2, VIRTIO_GPIO_DIRECTION_IN), 0);
		a.queue = 1;
		toy.ctx = &a;
		r = drv_gpio_unmask(&g, 2);
		if (!r)
			r = drv_gpio_wait(&g, &line, toy.now + SECOND);
		CHECK_EQ(t, r, cases[i].result);
		CHECK(t, r || line == 2);
		toy_close(&toy);
	}
}

static void gpio_names(struct tap *t)
{
	static const uint8_t no_end[] = { 0, 'a', 0, 'b', 'c', 'd' };
	struct answer a = { .data = no_end, .len = sizeof(no_end), .used = -1, .id = -1 };
	struct drv_gpio g;
	struct toy toy;
	uint16_t line = 9;

	lying(&toy, DRV_ID_GPIO, &a);
	toy.config[0] = 3;
	toy.config[4] = 5;
	REQUIRE(t, !drv_gpio_open(&g, toy.dev));
	CHECK_EQ(t, drv_gpio_find(&g, "a", &line), 0);
	CHECK_EQ(t, line, 0);
	CHECK_EQ(t, drv_gpio_find(&g, "bcd", &line), DRV_GONE);
	CHECK_EQ(t, drv_gpio_find(&g, "bcdefgh", &line), DRV_GONE);
	CHECK_EQ(t, drv_gpio_find(&g, "", &line), DRV_GONE);
	toy_close(&toy);
	/* Fewer bytes than it says; more than the driver takes. */
	a.used = 4;
	lying(&toy, DRV_ID_GPIO, &a);
	toy.config[4] = 5;
	CHECK_EQ(t, drv_gpio_open(&g, toy.dev), DRV_BROKEN);
	toy_close(&toy);
	lying(&toy, DRV_ID_GPIO, &a);
	toy.config[6] = toy.config[7] = 0xff;
	CHECK_EQ(t, drv_gpio_open(&g, toy.dev), 0);
	CHECK_EQ(t, drv_gpio_find(&g, "a", &line), DRV_UNSUPPORTED);
	toy_close(&toy);
}

/* The answer to the first command of all, whose token is 1. */
static void scmi(struct tap *t)
{
	static const uint32_t hdr = DRV_SCMI_HDR(0, 0, DRV_SCMI_BASE, 1);
	static const uint32_t good[3] = { hdr, 0, 0x20001 }, other[3] = { hdr + 1, 0, 0x20001 },
			      denied[3] = { hdr, (uint32_t)-3, 0 }, positive[3] = { hdr, 3, 0 };
	static const struct {
		struct answer a;
		int result;
	} cases[] = {
		{ { .data = good, .len = 12, .used = 12, .id = -1 }, 0 },
		{ { .data = good, .len = 12, .used = 8, .id = -1 }, 0 },
		{ { .data = good, .len = 12, .used = 7, .id = -1 }, DRV_BROKEN },
		{ { .data = good, .len = 12, .used = 11, .id = -1 }, DRV_BROKEN },
		{ { .data = good, .len = 12, .used = 16, .id = -1 }, DRV_BROKEN },
		{ { .data = good, .len = 12, .used = 0, .id = -1 }, DRV_BROKEN },
		{ { .data = other, .len = 12, .used = 12, .id = -1 }, DRV_BROKEN },
		{ { .data = denied, .len = 8, .used = 8, .id = -1 }, DRV_ERROR },
		{ { .data = denied, .len = 12, .used = 12, .id = -1 }, DRV_BROKEN },
		{ { .data = positive, .len = 8, .used = 8, .id = -1 }, DRV_BROKEN },
		{ { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = cases[i].a;
		struct toy toy;
		struct drv_scmi s;
		uint32_t version;

		lying(&toy, DRV_ID_SCMI, &a);
		REQUIRE(t, !drv_scmi_open(&s, toy.dev));
		CHECK_EQ(t, drv_scmi_version(&s, DRV_SCMI_BASE, &version, toy.now + SECOND),
			cases[i].result);
		toy_close(&toy);
	}
}

static void blk(struct tap *t)
{
	static uint8_t status[513];
	static const struct {
		uint8_t status;
		struct answer a;
		int result;
	} cases[] = {
		{ 0, { .used = -1, .id = -1 }, 0 },
		{ 1, { .used = -1, .id = -1 }, DRV_ERROR },
		{ 2, { .used = -1, .id = -1 }, DRV_UNSUPPORTED },
		{ 3, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ 0xff, { .used = -1, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 512, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 1, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 0, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 514, .id = -1 }, DRV_BROKEN },
		{ 0, { .used = 513, .id = 5 }, DRV_BROKEN },
		{ 0, { .keep = true }, DRV_TIMEOUT },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = cases[i].a;
		struct toy toy;
		struct drv_blk b;

		status[512] = cases[i].status;
		a.data = status;
		a.len = sizeof(status);
		lying(&toy, DRV_ID_BLK, &a);
		toy.area->offered &= ~DRV_FEATURE(VIRTIO_BLK_F_SIZE_MAX);
		toy.config[0] = 100;
		REQUIRE(t, !drv_blk_open(&b, toy.dev));
		CHECK_EQ(t, drv_blk_read(&b, 99, toy.mem + TOY_MEM - 512, 512), cases[i].result);
		toy_close(&toy);
	}
}

/* A request that was given up, and whose owner is gone, is answered after all. */
static void blk_late(struct tap *t)
{
	struct answer a = { .used = -1, .id = -1 };
	struct toy_chain c[DRV_BLK_DEPTH];
	struct toy toy;
	struct drv_blk b;
	unsigned n = 0;

	lying(&toy, DRV_ID_BLK, &a);
	toy.area->offered &= ~DRV_FEATURE(VIRTIO_BLK_F_SIZE_MAX);
	toy.config[0] = 100;
	toy.serve = NULL;
	REQUIRE(t, !drv_blk_open(&b, toy.dev));
	b.timeout = SECOND;
	for (unsigned i = 0; i < DRV_BLK_DEPTH + 2; i++)
		CHECK_EQ(t, drv_blk_read(&b, 1, toy.mem + TOY_MEM - 512, 512), DRV_TIMEOUT);
	while (n < DRV_BLK_DEPTH && toy_take(&toy, 0, &c[n]))
		n++;
	CHECK_EQ(t, n, DRV_BLK_DEPTH);
	toy.serve = lie;
	while (n--)
		lie(&toy, &c[n]);
	CHECK_EQ(t, drv_blk_read(&b, 1, toy.mem + TOY_MEM - 512, 512), 0);
	toy_close(&toy);
}

/* Configurations that cannot be. */
static void configurations(struct tap *t)
{
	struct answer a = { .used = -1, .id = -1 };
	struct toy toy;
	struct drv_blk b;
	struct drv_net n;
	struct drv_console c;

	lying(&toy, DRV_ID_BLK, &a); /* size_max is 0 */
	CHECK_EQ(t, drv_blk_open(&b, toy.dev), DRV_UNSUPPORTED);
	toy_close(&toy);
	lying(&toy, DRV_ID_NET, &a); /* mtu and max_virtqueue_pairs are 0 */
	CHECK_EQ(t, drv_net_open(&n, toy.dev, 2, 0), DRV_BROKEN);
	toy.config[10] = 68;
	CHECK_EQ(t, drv_net_open(&n, toy.dev, 2, 0), DRV_BROKEN);
	toy.config[9] = 0x80; /* 0x8000 pairs: the control queue's index wraps */
	CHECK_EQ(t, drv_net_open(&n, toy.dev, 2, 0), DRV_BROKEN);
	toy.config[8] = 1;
	CHECK_EQ(t, drv_net_open(&n, toy.dev, 2, 0), DRV_BROKEN);
	toy_close(&toy);
	lying(&toy, DRV_ID_CONSOLE, &a); /* max_nr_ports is 0 */
	CHECK_EQ(t, drv_console_open(&c, toy.dev, 2), DRV_BROKEN);
	memset(toy.config, 0xff, TOY_CONFIG);
	CHECK_EQ(t, drv_console_open(&c, toy.dev, 2), 0);
	CHECK_EQ(t, c.nports, 2);
	/* And a device of another class. */
	CHECK_EQ(t, drv_net_open(&n, toy.dev, 1, 0), DRV_INVALID);
	CHECK_EQ(t, drv_blk_open(&b, toy.dev), DRV_INVALID);
	toy_close(&toy);
}

/* Puts bytes into the next receive buffer of queue q. */
static void send(struct toy *toy, uint16_t q, const void *data, uint32_t len)
{
	struct toy_chain c;

	if (toy_take(toy, q, &c))
		toy_put(toy, q, c.id, c.ndesc, toy_fill(&c, data, len));
}

static void net(struct tap *t)
{
	struct answer a = { .used = -1, .id = -1, .queue = 99 };
	uint8_t frame[2000] = { 0 }, back[100];
	struct toy toy;
	struct drv_net n;
	uint32_t len = 0;

	toy_open(&toy, DRV_ID_NET, DRV_FEATURE(VIRTIO_NET_F_MRG_RXBUF));
	toy.ctx = &a;
	REQUIRE(t, !drv_net_open(&n, toy.dev, 1, 4));
	send(&toy, 0, frame, 11); /* less than a header */
	frame[10] = 0;		  /* num_buffers */
	send(&toy, 0, frame, 80);
	frame[10] = 5; /* more than there are */
	send(&toy, 0, frame, 80);
	frame[10] = 1;
	frame[1] = 1; /* GSO, which was not agreed */
	send(&toy, 0, frame, 80);
	CHECK_EQ(t, drv_net_recv(&n, 0, back, 100, &len, toy.now + 100 * SECOND), DRV_TIMEOUT);
	CHECK_EQ(t, n.dropped, 4);
	frame[1] = 0;
	send(&toy, 0, frame, 80);
	CHECK_EQ(t, drv_net_recv(&n, 0, back, 100, &len, toy.now + SECOND), 0);
	CHECK_EQ(t, len, 68);
	/* A frame of three buffers whose rest never comes. */
	frame[10] = 3;
	send(&toy, 0, frame, 80);
	send(&toy, 0, frame, 80);
	CHECK_EQ(t, drv_net_recv(&n, 0, back, 100, &len, toy.now + SECOND), DRV_BROKEN);
	toy_close(&toy);

	/* A device that says it wrote into a buffer to be sent. */
	toy_open(&toy, DRV_ID_NET, 0);
	toy.serve = lie;
	a = (struct answer){ .used = 1, .id = -1, .queue = 1 };
	toy.ctx = &a;
	REQUIRE(t, !drv_net_open(&n, toy.dev, 1, 4));
	CHECK_EQ(t, drv_net_send(&n, 0, frame, 60, toy.now + SECOND), 0);
	CHECK_EQ(t, drv_net_send(&n, 0, frame, 60, toy.now + SECOND), DRV_BROKEN);
	toy_close(&toy);
}

static void console(struct tap *t)
{
	static const struct {
		uint32_t id;
		uint16_t event, value;
		char text[56];
	} m[] = {
		{ 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, "" },
		{ 0xffffffff, VIRTIO_CONSOLE_DEVICE_ADD, 0, "" },
		{ 0xffffffff, VIRTIO_CONSOLE_PORT_NAME, 0, "x" },
		{ 1, VIRTIO_CONSOLE_PORT_NAME, 0, "not added" },
		{ 1, VIRTIO_CONSOLE_CONSOLE_PORT, 0, "" },
		{ 0, VIRTIO_CONSOLE_PORT_NAME, 0,
			"\033[2Jabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz" },
		{ 0, 77, 0, "" },
	};
	struct answer a = { .used = -1, .id = -1, .queue = 99 };
	struct toy toy;
	struct drv_console c;

	lying(&toy, DRV_ID_CONSOLE, &a);
	toy.config[4] = 4;
	REQUIRE(t, !drv_console_open(&c, toy.dev, 2));
	toy.serve = NULL; /* messages are put where there are buffers, one by one */
	for (unsigned i = 0; i < sizeof(m) / sizeof(*m); i++) {
		uint16_t was = toy.next[2];

		toy.next[2] = toy.used[2];
		send(&toy, 2, &m[i], sizeof(m[i]));
		toy.used[2]++;
		toy.next[2] = was;
		toy.serve = lie;
		CHECK_EQ(t, drv_console_poll(&c), 0);
		toy.serve = NULL;
	}
	CHECK(t, c.ports[0].exists && !c.ports[1].exists);
	CHECK(t, !strcmp(c.ports[0].name, "?[2Jabcdefghijklmnopqrstuvwxyza"));
	CHECK_EQ(t, c.ports[1].name[0], 0);
	CHECK(t, !c.ports[1].console);
	toy_close(&toy);
}

struct pkt {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
	uint8_t data[64];
} __attribute__((packed));

/* The host's side: takes what was sent, remembers the last header, confirms connections. */
struct host {
	struct pkt last;
	unsigned n, resets;
};

static void host(struct toy *toy, const struct toy_chain *c)
{
	struct host *h = toy->ctx;

	if (c->q != 1)
		return;
	memcpy(&h->last, c->e[0].p, c->e[0].len < sizeof(h->last) ? c->e[0].len : sizeof(h->last));
	h->n++;
	h->resets += h->last.op == 3;
	toy_put(toy, 1, c->id, c->ndesc, 0);
}

/* A packet in answer to the last one. */
static void answer(struct toy *toy, uint16_t op, uint32_t len, uint32_t total)
{
	const struct host *h = toy->ctx;
	struct pkt p = { .src_cid = 2,
		.dst_cid = 9,
		.src_port = 77,
		.dst_port = h->last.src_port,
		.len = len,
		.type = 1,
		.op = op,
		.buf_alloc = 1000 };

	toy->serve = NULL;
	toy->next[0] = toy->used[0]++;
	send(toy, 0, &p, total);
	toy->serve = host;
}

/* Confirms a connection as soon as the driver waits for it. */
static void confirm(struct toy *toy)
{
	toy->tick = NULL;
	answer(toy, 2, 0, 44);
}

static void vsock(struct tap *t)
{
	static uint8_t memory[32];
	struct drv_vsock_conn c = { .buf = memory, .size = sizeof(memory) };
	struct host h = { 0 };
	struct drv_vsock v;
	struct toy toy;
	uint8_t back[64];
	uint32_t len = 0;

	toy_open(&toy, DRV_ID_VSOCK, 0);
	toy.serve = host;
	toy.ctx = &h;
	toy.config[0] = 9;
	REQUIRE(t, !drv_vsock_open(&v, toy.dev));
	CHECK_EQ(t, drv_vsock_connect(&v, &c, 2, 77, 1, toy.now + SECOND), DRV_TIMEOUT);
	CHECK_EQ(t, h.resets, 1);
	/* Packets that are none, and one for a connection that is none. */
	answer(&toy, 5, 0, 43);
	answer(&toy, 5, 65, 108);
	answer(&toy, 5, UINT32_MAX, 60);
	CHECK_EQ(t, drv_vsock_poll(&v), 0);
	CHECK_EQ(t, v.bad_packets, 3);
	answer(&toy, 5, 16, 60);
	CHECK_EQ(t, drv_vsock_poll(&v), 0);
	CHECK_EQ(t, h.resets, 2);
	/* A peer that sends more than it has credit for. */
	for (unsigned i = 0; i < 3; i++) {
		h.resets = 0;
		toy.tick = confirm;
		h.last.src_port = v.next_port;
		REQUIRE(t, !drv_vsock_connect(&v, &c, 2, 77, 1, toy.now + SECOND));
		answer(&toy, 5, i == 0 ? 32 : 20, 44 + 32);
		CHECK_EQ(t, drv_vsock_poll(&v), 0);
		CHECK_EQ(t, c.state, DRV_VSOCK_OPEN);
		answer(&toy, i == 2 ? 99 : 5, i == 0 ? 1 : 13, 44 + 32);
		CHECK_EQ(t, drv_vsock_poll(&v), 0);
		CHECK_EQ(t, c.state, DRV_VSOCK_CLOSED);
		CHECK_EQ(t, h.resets, 1);
		/* What came before is still there. */
		CHECK_EQ(t, drv_vsock_recv(&c, back, 64, &len, toy.now), 0);
		CHECK_EQ(t, len, i == 0 ? 32 : 20);
		CHECK_EQ(t, drv_vsock_recv(&c, back, 64, &len, toy.now), DRV_BROKEN);
	}
	toy_close(&toy);
}

/* Fuzzing: the device does what it likes with whatever it may write. */

static void scribble(struct toy *toy, uint8_t *p, uint32_t len)
{
	uint32_t n = toy_rand(toy, len < 64 ? len : 64) + 1, at = toy_rand(toy, len);

	for (; n && at < len; n--)
		p[at++] = (uint8_t)toy_rand(toy, toy_rand(toy, 2) ? 256 : 4);
}

static void wild(struct toy *toy, const struct toy_chain *c)
{
	uint32_t in = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (!c->e[i].write)
			continue;
		in += c->e[i].len;
		scribble(toy, c->e[i].p, c->e[i].len);
		/* What many structures begin with. */
		if (toy_rand(toy, 2))
			memset(c->e[i].p, 0, c->e[i].len < 10 ? c->e[i].len : 10);
	}
	switch (toy_rand(toy, 40)) {
	case 0:
		break;
	case 1:
		toy_put(toy, c->q, (uint16_t)toy_rand(toy, 70), c->ndesc, in);
		break;
	case 2:
		toy_put(toy, c->q, c->id, c->ndesc, toy_rand(toy, 4096));
		break;
	default:
		toy_put(toy, c->q, c->id, c->ndesc, in ? toy_rand(toy, in + 1) : 0);
		break;
	}
}

/* At any time: answers buffers, writes into the ring, changes the configuration. */
static void wild_tick(struct toy *toy)
{
	uint16_t q = (uint16_t)toy_rand(toy, TOY_QUEUES);
	const struct drv_direct_queue *dq = &toy->area->queues[q];
	bool packed = toy->area->accepted >> VIRTIO_F_RING_PACKED & 1;
	struct toy_chain c;

	for (unsigned i = 0; i < 3; i++)
		if (toy_take(toy, (uint16_t)toy_rand(toy, 4), &c))
			wild(toy, &c);
	if (toy_rand(toy, 300) == 0)
		scribble(toy, toy->config, TOY_CONFIG);
	/* All that devices can reach, the descriptors of the driver included. */
	if (toy_rand(toy, 1000) == 0 && toy->dev->mem_used)
		scribble(toy, toy->mem, (uint32_t)toy->dev->mem_used);
	else if (toy_rand(toy, 1000) == 0 && dq->enabled)
		scribble(toy, (uint8_t *)(uintptr_t)dq->device, packed ? 4 : 6 + 8u * dq->size);
}

static void use_blk(struct toy *toy)
{
	struct drv_blk b;
	struct drv_blk_lifetime l;
	uint8_t *buf = toy->mem + TOY_MEM - 4096;
	char id[21];

	if (drv_blk_open(&b, toy->dev))
		return;
	b.timeout = SECOND;
	for (unsigned i = 0; i < 20; i++) {
		drv_blk_read(&b, toy_rand(toy, 9), buf, 512 * toy_rand(toy, 8));
		drv_blk_write(&b, toy_rand(toy, 9), buf, 512);
		drv_blk_flush(&b);
		drv_blk_range(&b, VIRTIO_BLK_T_DISCARD, 0, 1, false);
		drv_blk_id(&b, id);
		drv_blk_lifetime(&b, &l);
	}
}

static void use_net(struct toy *toy)
{
	static uint8_t frame[1514];
	struct drv_net n;
	uint32_t len;

	if (drv_net_open(&n, toy->dev, 1 + toy_rand(toy, 4), 4))
		return;
	for (unsigned i = 0; i < 60; i++) {
		uint8_t *buf = toy->mem + TOY_MEM - 200;

		drv_net_send(&n, 0, frame, 14 + toy_rand(toy, 1500), toy->now + SECOND);
		drv_net_recv(&n, 0, buf, 200, &len, toy->now + SECOND);
		drv_net_vlan(&n, 1, true);
	}
}

static void use_console(struct toy *toy)
{
	struct drv_console c;
	uint16_t cols, rows;
	uint32_t len;

	if (drv_console_open(&c, toy->dev, 1 + toy_rand(toy, 4)))
		return;
	for (unsigned i = 0; i < 60; i++) {
		drv_console_poll(&c);
		drv_console_write(&c, toy_rand(toy, 5), "some text", 9);
		drv_console_read(
			&c, toy_rand(toy, 5), toy->mem + TOY_MEM - 20, 20, &len, toy->now + SECOND);
		drv_console_size(&c, 0, &cols, &rows);
	}
}

static void use_vsock(struct toy *toy)
{
	static uint8_t memory[2][100];
	struct drv_vsock_conn c = { .buf = memory[0], .size = 100 };
	struct drv_vsock_conn l = { .buf = memory[1], .size = 100 };
	struct drv_vsock v;
	uint32_t len;

	if (drv_vsock_open(&v, toy->dev))
		return;
	drv_vsock_listen(&v, &l, 0, (uint16_t)(1 + toy_rand(toy, 2)));
	v.cid = 0; /* as likely as that the packets are for us */
	for (unsigned i = 0; i < 10; i++) {
		v.next_port = 0;
		drv_vsock_connect(
			&v, &c, 0, 0, (uint16_t)(1 + toy_rand(toy, 2)), toy->now + SECOND);
		drv_vsock_send(&c, "0123456789", 10, toy->now + SECOND);
		drv_vsock_recv(&c, toy->mem + TOY_MEM - 20, 20, &len, toy->now + SECOND);
		drv_vsock_accept(&l, toy->now + SECOND);
		drv_vsock_recv(&l, toy->mem + TOY_MEM - 20, 20, &len, toy->now + SECOND);
		drv_vsock_close(&c, toy->now + SECOND);
	}
	drv_vsock_close(&l, toy->now + SECOND);
}

static void use_rng(struct toy *toy)
{
	struct drv_rng rng;

	if (drv_rng_open(&rng, toy->dev))
		return;
	for (unsigned i = 0; i < 40; i++)
		drv_rng_read(&rng, toy->mem + TOY_MEM - 100, 100, toy->now + SECOND);
}

static void use_i2c(struct toy *toy)
{
	uint8_t *end = toy->mem + TOY_MEM - 64;
	struct drv_i2c i;

	if (drv_i2c_open(&i, toy->dev))
		return;
	i.timeout = SECOND / 100;
	for (unsigned k = 0; k < 20; k++) {
		struct drv_i2c_msg msgs[] = { { end, 64, 0x50, false }, { end, 64, 0x50, true },
			{ end, 0, 0x51, false } };

		drv_i2c_transfer(&i, msgs, 1 + toy_rand(toy, 3), NULL);
		drv_i2c_write_read(&i, 0x48, end, 1, end + 62, 2);
	}
}

static void use_spi(struct toy *toy)
{
	struct drv_spi_head head = { .bits_per_word = 8 };
	uint8_t *end = toy->mem + TOY_MEM - DRV_SPI_DATA;
	struct drv_spi s;

	if (drv_spi_open(&s, toy->dev))
		return;
	s.timeout = SECOND / 100;
	for (unsigned k = 0; k < 20; k++)
		drv_spi_transfer(&s, &head, toy_rand(toy, 2) ? end : NULL, end,
			1 + toy_rand(toy, DRV_SPI_DATA));
}

static void use_rtc(struct toy *toy)
{
	struct drv_rtc_clock clock;
	struct drv_rtc rtc;
	uint64_t a, b;
	uint16_t id;
	bool yes;

	if (drv_rtc_open(&rtc, toy->dev))
		return;
	for (unsigned i = 0; i < 10; i++) {
		drv_rtc_clock(&rtc, 0, &clock);
		drv_rtc_read_cross(&rtc, 0, VIRTIO_RTC_COUNTER_X86_TSC, &a, &b);
		drv_rtc_set_alarm(&rtc, 0, i, true);
		drv_rtc_alarm(&rtc, 0, &a, &yes);
		drv_rtc_expired(&rtc, &id, toy->now + SECOND / 100);
	}
}

static void use_gpio(struct toy *toy)
{
	struct drv_gpio g;
	uint16_t line;
	bool high;

	if (drv_gpio_open(&g, toy->dev))
		return;
	g.timeout = SECOND / 100;
	drv_gpio_find(&g, "lamp", &line);
	for (unsigned i = 0; i < 20; i++) {
		line = (uint16_t)toy_rand(toy, 4);
		drv_gpio_get(&g, line, &high);
		drv_gpio_irq(&g, line, (uint8_t)toy_rand(toy, 5));
		drv_gpio_unmask(&g, line);
		drv_gpio_wait(&g, &line, toy->now + SECOND / 100);
	}
}

static void use_scmi(struct toy *toy)
{
	const uint32_t params[4] = { 1, 0, 7, 0 };
	uint32_t ret[DRV_SCMI_WORDS];
	struct drv_scmi_event e;
	struct drv_scmi s;

	if (drv_scmi_open(&s, toy->dev))
		return;
	for (unsigned i = 0; i < 20; i++) {
		/* As likely as that the token is right. */
		s.token = 0;
		drv_scmi_do(&s, DRV_SCMI_BASE, 0, NULL, 0, ret, DRV_SCMI_WORDS, toy->now + SECOND);
		drv_scmi_do_delayed(
			&s, DRV_SCMI_CLOCK, 5, params, 4, ret, DRV_SCMI_WORDS, toy->now + SECOND);
		drv_scmi_event(&s, &e, toy->now + SECOND);
	}
}

static void fuzz(struct tap *t)
{
	static const struct {
		uint16_t id;
		void (*use)(struct toy *toy);
	} classes[] = { { DRV_ID_BLK, use_blk }, { DRV_ID_NET, use_net },
		{ DRV_ID_CONSOLE, use_console }, { DRV_ID_VSOCK, use_vsock },
		{ DRV_ID_RNG, use_rng }, { DRV_ID_RTC, use_rtc }, { DRV_ID_GPIO, use_gpio },
		{ DRV_ID_SCMI, use_scmi },
		{ DRV_ID_I2C, use_i2c }, { DRV_ID_SPI, use_spi } };
	unsigned rounds = getenv("DRV_FUZZ") ? (unsigned)atoi(getenv("DRV_FUZZ")) : 500;
	unsigned done = 0;

	for (unsigned i = 0; i < rounds; i++)
		for (unsigned k = 0; k < sizeof(classes) / sizeof(*classes); k++) {
			uint64_t ring = (i & 1 ? DRV_FEATURE(VIRTIO_F_RING_PACKED) : 0) |
					(i & 2 ? DRV_FEATURE(VIRTIO_F_IN_ORDER) : 0) |
					(i & 4 ? DRV_FEATURE(VIRTIO_F_EVENT_IDX) : 0);
			struct toy toy;

			toy_open(&toy, classes[k].id, ALL | ring);
			toy.rnd = i * 16 + k;
			toy.serve = toy_rand(&toy, 2) ? wild : NULL;
			toy.tick = wild_tick;
			for (unsigned b = 0; b < 12; b++)
				toy.config[b] = (uint8_t)toy_rand(&toy, 8);
			toy.config[9] = 0;  /* pairs of queues */
			toy.config[11] = 4; /* of a size or an MTU */
			classes[k].use(&toy);
			done += toy.notified[0] + toy.notified[1] > 3;
			toy_close(&toy);
		}
	rounds *= sizeof(classes) / sizeof(*classes);
	printf("# %u of %u devices got as far as requests\n", done, rounds);
	CHECK(t, done > rounds / 2);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, rng);
	TAP_RUN(&t, i2c);
	TAP_RUN(&t, spi);
	TAP_RUN(&t, rtc);
	TAP_RUN(&t, gpio);
	TAP_RUN(&t, gpio_events);
	TAP_RUN(&t, gpio_names);
	TAP_RUN(&t, scmi);
	TAP_RUN(&t, blk);
	TAP_RUN(&t, blk_late);
	TAP_RUN(&t, configurations);
	TAP_RUN(&t, net);
	TAP_RUN(&t, console);
	TAP_RUN(&t, vsock);
	TAP_RUN(&t, fuzz);
	return tap_done(&t);
}
