/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/spidev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/spi/spidev.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/util.h"

#define BUFSIZ_FILE    "/sys/module/spidev/parameters/bufsiz"
#define BUFSIZ_DEFAULT 4096u
#define BUFSIZ_MOST    (1u << 20)

int spidev_check(int fd, const char *path, uint32_t *speed_hz, struct err *e)
{
	if (ioctl(fd, SPI_IOC_RD_MAX_SPEED_HZ, speed_hz) < 0)
		return err_sys(e, -errno, "%s is no chip of spidev", path);
	return 0;
}

uint32_t spidev_max(void)
{
	autoclose int fd = open(BUFSIZ_FILE, O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	unsigned long v = 0;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		v = strtoul(text, NULL, 10);
	return v ? (uint32_t)min_u64(v, BUFSIZ_MOST) : BUFSIZ_DEFAULT;
}

int spidev_transfer(int fd, const struct spidev_transfer *t)
{
	struct spi_ioc_transfer x = {
		.tx_buf = (uintptr_t)t->tx,
		.rx_buf = (uintptr_t)t->rx,
		.len = t->len,
		.speed_hz = t->speed_hz,
		.delay_usecs = t->delay_us,
		.bits_per_word = t->bits_per_word,
		.cs_change = t->hold, /* of the last transfer: the chip stays selected */
		.tx_nbits = t->tx_nbits,
		.rx_nbits = t->rx_nbits,
		.word_delay_usecs = t->word_delay_us,
	};

	if (ioctl(fd, SPI_IOC_WR_MODE32, &t->mode) < 0)
		return -errno;
	return ioctl(fd, SPI_IOC_MESSAGE(1), &x) < 0 ? -errno : 0;
}
