/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that uses each of its devices once, says so, and then does nothing for ever: no timer of
 * its own wakes it, so what wakes up while it sleeps is the host's.
 */
#include "drivers/blk.h"
#include "drivers/can.h"
#include "drivers/console.h"
#include "drivers/gpio.h"
#include "drivers/net.h"
#include "drivers/rng.h"
#include "drivers/vsock.h"
#include "guests/bare/virtio.h"

#define DEVICE_MEMORY (256u << 10)
#define SECTORS	      8u
#define FRAME	      60u

static struct bare_virtio_list devices;

static uint64_t soon(void)
{
	return bare_time() + UINT64_C(60000000000);
}

static int use_blk(struct drv_dev *dev)
{
	static struct drv_blk blk;
	uint8_t *buf = bare_alloc(SECTORS * DRV_BLK_SECTOR, DRV_BLK_SECTOR);
	int r = buf ? drv_blk_open(&blk, dev) : DRV_NO_MEMORY;

	blk.timeout = UINT64_C(60000000000);
	if (!r)
		r = drv_blk_write(&blk, 0, buf, SECTORS * DRV_BLK_SECTOR);
	return r ? r : drv_blk_read(&blk, 0, buf, SECTORS * DRV_BLK_SECTOR);
}

static int use_net(struct drv_dev *dev)
{
	static struct drv_net net;
	uint8_t frame[FRAME] = { 0x02, 0, 0, 0, 0, 1, [12] = 0x88, [13] = 0xb5 };
	int r = drv_net_open(&net, dev, 1, 0);

	for (unsigned i = 0; i < sizeof(net.mac); i++)
		frame[6 + i] = net.mac[i];
	return r ? r : drv_net_send(&net, 0, frame, sizeof(frame), soon());
}

static int use_console(struct drv_dev *dev)
{
	static struct drv_console console;
	int r = drv_console_open(&console, dev, 1);

	console.timeout = UINT64_C(60000000000);
	return r ? r : drv_console_write(&console, 0, "here\r\n", 6);
}

static int use_rng(struct drv_dev *dev)
{
	static struct drv_rng rng;
	uint8_t bytes[16];
	int r = drv_rng_open(&rng, dev);

	return r ? r : drv_rng_read(&rng, bytes, sizeof(bytes), soon());
}

static int use_vsock(struct drv_dev *dev)
{
	static struct drv_vsock vsock;

	return drv_vsock_open(&vsock, dev);
}

static int use_can(struct drv_dev *dev)
{
	static struct drv_can can;
	int r = drv_can_open(&can, dev);

	return r ? r : drv_can_start(&can);
}

static int use_gpio(struct drv_dev *dev)
{
	static struct drv_gpio gpio;
	bool high;
	int r = drv_gpio_open(&gpio, dev);

	return r ? r : drv_gpio_get(&gpio, 0, &high);
}

static const struct {
	uint16_t id;
	int (*use)(struct drv_dev *dev);
} uses[] = {
	{ DRV_ID_BLK, use_blk },
	{ DRV_ID_NET, use_net },
	{ DRV_ID_CONSOLE, use_console },
	{ DRV_ID_RNG, use_rng },
	{ DRV_ID_VSOCK, use_vsock },
	{ DRV_ID_CAN, use_can },
	{ DRV_ID_GPIO, use_gpio },
};

static __attribute__((noreturn)) void sleep_for_ever(void)
{
	for (;;) {
#ifdef __x86_64__
		__asm__ volatile("sti; hlt" ::: "memory");
#else
		__asm__ volatile("wfi" ::: "memory");
#endif
	}
}

int bare_main(struct bare_info *info)
{
	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct bare_virtio *d = bare_virtio_get(&devices, uses[i].id, 0);
		int r = d ? uses[i].use(d->dev) : 0;

		if (r) {
			bare_put("scale: failed: device type ");
			bare_put_dec(uses[i].id);
			bare_put("\n");
			return 1;
		}
	}
	bare_put("scale: used ");
	bare_put_dec(devices.n);
	bare_put("\n");
	sleep_for_ever();
}
