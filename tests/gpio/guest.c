/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest for tests of GPIO lines: what its line `in=NAME` does, its line `out=NAME` does, too. It
 * sleeps until the interrupt of a line. Switches off when its power button is pressed.
 */
#include "drivers/gpio.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define DEVICE_MEMORY (64u << 10)

static struct bare_virtio_list devices;
static struct drv_gpio gpio;

/* The line that KEY=NAME of the command line names. */
static int find(const char *cmdline, const char *key, uint16_t *line)
{
	char name[32];

	if (bare_word(cmdline, key, name, sizeof(name)) < 1)
		return DRV_INVALID;
	return drv_gpio_find(&gpio, name, line);
}

static int copy(uint16_t in, uint16_t out)
{
	bool high;
	int r = drv_gpio_get(&gpio, in, &high);

	return r ? r : drv_gpio_set(&gpio, out, high);
}

static int set_up(struct bare_info *info, uint16_t *in, uint16_t *out)
{
	struct bare_virtio *d;
	int r;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	d = bare_virtio_get(&devices, DRV_ID_GPIO, 0);
	r = d ? drv_gpio_open(&gpio, d->dev) : DRV_GONE;
	if (!r)
		r = find(info->cmdline, "in", in);
	if (!r)
		r = find(info->cmdline, "out", out);
	if (!r)
		r = drv_gpio_set_direction(&gpio, *in, VIRTIO_GPIO_DIRECTION_IN);
	if (!r)
		r = drv_gpio_irq(&gpio, *in, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH);
	if (!r)
		r = copy(*in, *out);
	return r ? r : drv_gpio_set_direction(&gpio, *out, VIRTIO_GPIO_DIRECTION_OUT);
}

int bare_main(struct bare_info *info)
{
	uint16_t in = 0, out = 0, line;
	int r = set_up(info, &in, &out);

	while (!r && !bare_button()) {
		r = drv_gpio_wait(&gpio, &line, bare_time() + 20 * MS);
		if (r == DRV_TIMEOUT) {
			r = 0;
			continue;
		}
		/* Unmasked first: an edge after copy() has looked comes as the next event. */
		if (!r)
			r = drv_gpio_unmask(&gpio, line);
		if (!r)
			r = copy(in, out);
	}
	return r;
}
