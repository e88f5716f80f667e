/* SPDX-License-Identifier: BSD-3-Clause */
/* Chips of the host's SPI controllers: transfers by spidev, on the helper thread. */
#include <errno.h>
#include <linux/spi/spi.h>
#include <stdlib.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "devices/spi_priv.h"
#include "host/spidev.h"

static uint32_t us_of(uint32_t ns)
{
	return (ns + 999) / 1000;
}

/* spidev takes a transfer of so many bytes; of longer ones each part leaves the chip selected for
 * the next. */
static int run_parts(const struct spi_job *j)
{
	uint8_t *rx = j->buf ? j->buf + j->len : NULL;
	uint32_t at = 0;
	int r;

	do {
		uint32_t len = (uint32_t)min_u64(j->len - at, j->max);
		bool last = at + len == j->len;
		struct spidev_transfer t = {
			.tx = j->tx ? j->buf + at : NULL,
			.rx = j->rx ? rx + at : NULL,
			.len = len,
			.mode = j->mode,
			.speed_hz = j->speed_hz,
			.bits_per_word = j->bits_per_word,
			.tx_nbits = j->tx_nbits,
			.rx_nbits = j->rx_nbits,
			.word_delay_us = j->word_delay_us,
			.delay_us = last ? j->delay_us : 0,
			.hold = !last || j->hold,
		};

		r = spidev_transfer(j->fd, &t);
		at += len;
	} while (!r && at < j->len);
	return r;
}

static void run_job(struct worker_job *w)
{
	struct spi_job *j = container_of(w, struct spi_job, job);

	j->result = run_parts(j);
}

static void chip_gone(struct spi *s, struct slot *slot)
{
	if (slot->fd < 0 || slot->stale)
		return;
	if (s->busy && s->job.slot == slot)
		slot->stale = true;
	else
		close_fd(&slot->fd);
	slot->held = false;
	vdev_event(&s->dev, "host-gone", "%s", slot->path);
}

static void report(struct spi *s, struct slot *slot, int result)
{
	s->host_failures++;
	if (log_allowed(&s->troubles, 1))
		log_warn(s->dev.log, "a transfer on %s failed: %s", slot->path, strerror(-result));
	if (result == -ENODEV || result == -ESHUTDOWN) {
		chip_gone(s, slot);
		hostdev_lost(&s->hostdev, slot->number);
	}
}

static void job_done(struct worker_job *w)
{
	struct spi_job *j = container_of(w, struct spi_job, job);
	struct spi *s = container_of(j, struct spi, job);
	struct slot *slot = j->slot;
	autofree uint8_t *buf = steal_ptr(&j->buf);

	s->busy = false;
	slot->held = !j->result && j->hold && !slot->stale;
	if (slot->stale) {
		close_fd(&slot->fd);
		slot->stale = false;
	} else if (j->result) {
		report(s, slot, j->result);
	}
	if (buf)
		spi_ended(s, j->result ? SPI_TRANS_ERR : SPI_TRANS_OK, buf + j->len);
	else
		spi_released(s);
	vdev_kick(&s->dev, 0);
}

static bool submit(struct spi *s, struct slot *slot)
{
	s->job.slot = slot;
	s->job.fd = slot->fd;
	s->busy = !worker_submit(&s->worker, &s->job.job);
	return s->busy;
}

static void fill_job(struct spi_job *j, const struct slot *slot, const struct transfer *t)
{
	const struct spi_transfer_head *h = &t->head;
	uint32_t limit = slot->keys.max_frequency;

	j->len = t->len;
	j->tx = t->tx;
	j->rx = t->rx;
	/* The bits of a mode are those of Linux up to LSB_FIRST. */
	j->mode = (t->mode & ~SPI_MODE_LOOP) | (t->mode & SPI_MODE_LOOP ? SPI_LOOP : 0);
	j->mode |= h->tx_nbits == 2   ? SPI_TX_DUAL
		   : h->tx_nbits == 4 ? SPI_TX_QUAD
		   : h->tx_nbits == 8 ? SPI_TX_OCTAL
				      : 0;
	j->mode |= h->rx_nbits == 2   ? SPI_RX_DUAL
		   : h->rx_nbits == 4 ? SPI_RX_QUAD
		   : h->rx_nbits == 8 ? SPI_RX_OCTAL
				      : 0;
	j->speed_hz = le32toh(h->freq);
	if (limit && (!j->speed_hz || j->speed_hz > limit))
		j->speed_hz = limit;
	j->bits_per_word = h->bits_per_word;
	j->tx_nbits = h->tx_nbits;
	j->rx_nbits = h->rx_nbits;
	j->word_delay_us = (uint8_t)us_of(le32toh(h->word_delay_ns));
	j->delay_us = (uint16_t)us_of(le32toh(h->cs_delay_hold_ns));
}

void spi_host_transfer(struct spi *s, const struct transfer *t, bool hold)
{
	struct slot *slot = &s->slots[t->cs];
	struct spi_job *j = &s->job;
	struct iov_iter it;

	if (slot->fd < 0 || slot->stale || t->len > SPI_HOST_TRANSFER_MAX) {
		s->host_failures++;
		spi_ended(s, SPI_TRANS_ERR, NULL);
		return;
	}
	fill_job(j, slot, t);
	j->hold = hold && slot->keys.release == RELEASE_CHANGE;
	j->buf = calloc(2, t->len);
	if (j->buf && t->tx) {
		iov_iter_init(&it, t->chain->iov, t->chain->n_out);
		iov_skip(&it, sizeof(t->head));
		iov_read(&it, j->buf, t->len);
	}
	if (j->buf && submit(s, slot))
		return;
	free(steal_ptr(&j->buf));
	spi_ended(s, SPI_TRANS_ERR, NULL);
}

bool spi_host_release(struct spi *s, struct slot *slot)
{
	struct spi_job *j = &s->job;

	if (!slot->held || slot->fd < 0 || slot->stale)
		return false;
	*j = (struct spi_job){ .job = j->job, .mode = j->mode, .max = j->max };
	slot->held = false;
	return submit(s, slot);
}

static void on_gone(void *arg, unsigned n)
{
	struct spi *s = arg;

	if (n < s->nhost)
		chip_gone(s, s->host_slots[n]);
}

static void on_back(void *arg, unsigned n, int fd)
{
	struct spi *s = arg;
	struct err e = { 0 };
	uint32_t speed;
	struct slot *slot = n < s->nhost ? s->host_slots[n] : NULL;

	if (!slot || slot->fd >= 0 || spidev_check(fd, slot->path, &speed, &e)) {
		if (e.code && log_allowed(&s->troubles, 1))
			log_warn(s->dev.log, "%s is back, but not usable: %s", slot->path, e.msg);
		close(fd);
		hostdev_lost(&s->hostdev, n);
		return;
	}
	slot->fd = fd;
	vdev_event(&s->dev, "host-back", "%s", slot->path);
}

static const struct hostdev_events host_events = { .gone = on_gone, .back = on_back };

int spi_host_open(struct spi *s, struct err *e)
{
	const char *paths[SPI_CS_MAX];
	int fds[SPI_CS_MAX];
	uint32_t speed;
	int r;

	s->job.job = (struct worker_job){ .run = run_job, .done = job_done };
	s->job.max = spidev_max();
	for (unsigned i = 0; i < s->nhost; i++) {
		paths[i] = s->host_slots[i]->path;
		s->host_slots[i]->fd = -1;
	}
	r = hostdev_open(&s->hostdev, paths, s->nhost, fds, e);
	for (unsigned i = 0; i < s->nhost && !r; i++)
		s->host_slots[i]->fd = fds[i];
	for (unsigned i = 0; i < s->nhost && !r; i++)
		r = spidev_check(fds[i], paths[i], &speed, e);
	if (!r)
		r = hostdev_watch(&s->hostdev, s->dev.loop, &host_events, s, e);
	if (!r)
		r = worker_init(&s->worker, s->dev.loop, e);
	return r ? err_prefix(e, "devices") : 0;
}

void spi_host_close(struct spi *s)
{
	worker_finish(&s->worker);
	hostdev_close(&s->hostdev);
	free(steal_ptr(&s->job.buf));
	for (unsigned i = 0; i < s->nhost; i++)
		close_fd(&s->host_slots[i]->fd);
	s->nhost = 0;
}
