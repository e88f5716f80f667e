/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.h"

#include "devices/devices.h"

void bus_start(struct tap *t, struct bus *b, uint64_t ring)
{
	CHECK_EQ(t, vhud_start(b->d, &(struct vhud_opts){ .features = ring, .nqueues = 1 }), 0);
	b->head = (struct spi_transfer_head){ .bits_per_word = 8 };
}

void bus_open(struct tap *t, struct bus *b, uint64_t ring, const char *const *k)
{
	memset(b, 0, sizeof(*b));
	CHECK_EQ(t,
		vhud_serve(&b->srv, &vdev_spi, k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8],
			k[9], k[10], k[11], k[12], k[13], k[14], k[15], k[16], k[17], k[18], k[19],
			NULL),
		0);
	b->d = vhud_open(b->srv.path);
	bus_start(t, b, ring);
}

void bus_close(struct bus *b)
{
	vhud_close(b->d);
	vhud_serve_end(&b->srv);
}

uint8_t bus_transfer(struct bus *b, const void *tx, void *rx, uint32_t len)
{
	uint32_t tx_len = tx ? len : 0, rx_len = rx ? len : 0;
	uint8_t *out = malloc(sizeof(b->head) + tx_len), *in = malloc(rx_len + 1);
	uint8_t result = SPI_NONE;

	memcpy(out, &b->head, sizeof(b->head));
	if (tx)
		memcpy(out + sizeof(b->head), tx, tx_len);
	memset(in, 0xa5, rx_len);
	in[rx_len] = SPI_NONE;
	if (vhud_do(b->d, 0, out, sizeof(b->head) + tx_len, in, rx_len + 1) ==
		(ssize_t)rx_len + 1) {
		result = in[rx_len];
		if (rx)
			memcpy(rx, in, rx_len);
	}
	free(out);
	free(in);
	return result;
}
