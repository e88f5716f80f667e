/* SPDX-License-Identifier: BSD-3-Clause */
/* As many entropy devices as there are, all open at the same time: each gives random bytes, and
 * tells by an interrupt that it has. */
#include "drivers/rng.h"
#include "guests/bare/virtio.h"

#define DEVICE_MEMORY (16u << 10)
#define BYTES	      16u
#define LIMIT	      UINT64_C(30000000000) /* nanoseconds */

static struct bare_virtio_list devices;
static struct drv_rng rngs[BARE_VIRTIO_MAX];

static void put_count(const char *what, unsigned n)
{
	bare_put("many: ");
	bare_put(what);
	bare_put(" ");
	bare_put_dec(n);
	bare_put("\n");
}

static bool serves(struct drv_rng *rng)
{
	uint8_t bytes[BYTES] = { 0 }, any = 0;

	if (drv_rng_read(rng, bytes, BYTES, bare_time() + LIMIT))
		return false;
	for (unsigned i = 0; i < BYTES; i++)
		any |= bytes[i];
	return any;
}

int bare_main(struct bare_info *info)
{
	unsigned open = 0, served = 0, pci = 0, interrupts = 0;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	for (unsigned i = 0; i < devices.n; i++) {
		pci += devices.devices[i].is_pci;
		interrupts += *devices.devices[i].interrupts != 'n';
		open += !drv_rng_open(&rngs[i], devices.devices[i].dev);
	}
	put_count("devices", devices.n);
	put_count("of them on PCI", pci);
	put_count("with interrupts", interrupts);
	put_count("open", open);
	for (unsigned i = 0; i < devices.n && open == devices.n; i++)
		served += serves(&rngs[i]);
	put_count("served", served);
	return 0;
}
