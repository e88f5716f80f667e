/* SPDX-License-Identifier: BSD-3-Clause */
/* SPI controller. See spi.h. */
#include "spi.h"

#define TIMEOUT_NS UINT64_C(1000000000)

/* Head and tx_buf, then rx_buf and the result: two elements. */
#define HEAD	 32u
#define SLOT_LEN (HEAD + 2 * DRV_SPI_DATA + 1)

_Static_assert(sizeof(struct drv_spi_head) == HEAD, "5.21.6.1");
_Static_assert(sizeof(struct drv_spi_config) == 32, "5.21.4");

int drv_spi_open(struct drv_spi *s, struct drv_dev *dev)
{
	int r = dev->id == DRV_ID_SPI ? drv_begin(dev, DRV_COMMON_FEATURES, 0) : DRV_INVALID;

	*s = (struct drv_spi){ .dev = dev, .timeout = TIMEOUT_NS };
	if (!r)
		r = drv_config(dev, 0, &s->config, sizeof(s->config));
	if (!r)
		r = drv_pool_open(&s->pool, dev, 0, 1, 2, SLOT_LEN);
	return r ? r : drv_run(dev);
}

static int result(uint8_t status)
{
	switch (status) {
	case VIRTIO_SPI_TRANS_OK:
		return 0;
	case VIRTIO_SPI_PARAM_ERR:
		return DRV_REFUSED;
	case VIRTIO_SPI_TRANS_ERR:
		return DRV_ERROR;
	default:
		return DRV_BROKEN;
	}
}

int drv_spi_transfer(
	struct drv_spi *s, const struct drv_spi_head *head, const void *tx, void *rx, uint32_t len)
{
	uint64_t until = drv_now(s->dev) + s->timeout;
	uint32_t out = HEAD + (tx ? len : 0), in = (rx ? len : 0) + 1, used;
	uint8_t *buf;
	int r;

	if (len > DRV_SPI_DATA)
		return DRV_INVALID;
	r = drv_pool_get(&s->pool, &buf, until);
	if (r)
		return r;
	__builtin_memcpy(buf, head, HEAD);
	if (tx && len)
		__builtin_memcpy(buf + HEAD, tx, len);
	buf[out + in - 1] = 0xff;
	r = drv_pool_offer(&s->pool, buf, out, in);
	if (!r)
		r = drv_pool_take(&s->pool, &buf, &used, until);
	if (r)
		return r;
	r = result(*(const volatile uint8_t *)&buf[out + in - 1]);
	if (!r && used != in)
		r = DRV_BROKEN;
	if (!r && rx && len)
		__builtin_memcpy(rx, buf + out, len);
	drv_pool_free(&s->pool, buf);
	return r;
}
