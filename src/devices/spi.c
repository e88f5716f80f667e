/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SPI controller device (VIRTIO 1.4, 5.21). A request is one transfer; they are done one after
 * the other. A chip stays selected from its first transfer to one with cs_change, to one for
 * another chip, or to a reset.
 */
#include <errno.h>
#include <linux/spi/spidev.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"
#include "base/words.h"
#include "devices/devices.h"
#include "devices/spi_priv.h"

#define VIRTIO_ID_SPI 45
#define REQUESTQ      0
#define QUEUE_SIZE    1024u

/* Bytes moved, and requests answered, before other work of the loop gets a turn. */
#define TURN_BYTES (1u << 20)
#define TURN_MAX   256u

static struct spi *to_spi(struct vdev *dev)
{
	return container_of(dev, struct spi, dev);
}

/* Answers. */

/* Puts the result behind rx_buf, which is filled by now if it is OK; else with zeroes, since the
 * used length covers all of it (2.7.8.2). */
static void answer(struct spi *s, struct vq_chain *c, uint8_t result)
{
	struct iov_iter it;

	iov_iter_init(&it, vq_in(c), c->n_in);
	if (result == SPI_TRANS_OK)
		iov_skip(&it, c->in_len - 1);
	else
		iov_zero(&it, c->in_len - 1);
	iov_write(&it, &result, 1);
	vq_push(c->vq, c, (uint32_t)c->in_len);
	s->param_errors += result == SPI_PARAM_ERR;
	s->errors += result == SPI_TRANS_ERR;
}

static void end_transfer(struct spi *s, uint8_t result)
{
	struct transfer *t = &s->now;

	if (result == SPI_TRANS_OK) {
		s->transfers++;
		s->tx_bytes += t->tx ? t->len : 0;
		s->rx_bytes += t->rx ? t->len : 0;
	}
	answer(s, t->chain, result);
	t->chain = NULL;
}

/* Selecting. */

/* True if a chip of the host is on its way to be deselected, and `busy` until then. */
static bool deselect(struct spi *s)
{
	struct slot *slot = s->selected < 0 ? NULL : &s->slots[s->selected];

	s->selected = -1;
	if (!slot)
		return false;
	if (slot->kind == SLOT_CHIP && slot->chip->cls->deselect)
		slot->chip->cls->deselect(slot->chip);
	return slot->kind == SLOT_HOST && spi_host_release(s, slot);
}

/* Simulated chips. */

/* Only the bits of a word go over the wire. */
static void mask_words(uint8_t *buf, size_t len, uint8_t bits)
{
	unsigned width = spi_word_bytes(bits);

	for (size_t i = 0; bits != 8 * width && i < len; i++) {
		unsigned low = (unsigned)(i % width) * 8; /* the byte's first bit in its word */

		buf[i] &= low >= bits	    ? 0
			  : bits - low >= 8 ? 0xff
					    : (uint8_t)((1u << (bits - low)) - 1);
	}
}

/* Between words in memory, which are little-endian, and bytes on the wire. */
static void swap_words(uint8_t *buf, size_t len, unsigned width)
{
	for (size_t i = 0; width > 1 && i + width <= len; i += width)
		for (unsigned k = 0; k < width / 2; k++) {
			uint8_t b = buf[i + k];

			buf[i + k] = buf[i + width - 1 - k];
			buf[i + width - 1 - k] = b;
		}
}

static void reverse_bits(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t b = buf[i];

		b = (uint8_t)((b & 0xf0) >> 4 | (b & 0x0f) << 4);
		b = (uint8_t)((b & 0xcc) >> 2 | (b & 0x33) << 2);
		buf[i] = (uint8_t)((b & 0xaa) >> 1 | (b & 0x55) << 1);
	}
}

static void to_wire(const struct transfer *t, uint8_t *buf, size_t len)
{
	if (t->mode & SPI_MODE_LSB_FIRST)
		reverse_bits(buf, len);
	else
		swap_words(buf, len, spi_word_bytes(t->head.bits_per_word));
}

/* `n` bytes of a transfer; the same again turns words back. */
static void exchange(struct spi *s, const struct transfer *t, size_t n)
{
	const struct slot *slot = &s->slots[t->cs];
	uint8_t *out = s->chunk[0], *in = s->chunk[1];

	if (slot->kind == SLOT_LOOPBACK || t->mode & SPI_MODE_LOOP) {
		mask_words(out, n, t->head.bits_per_word);
		memcpy(in, out, n);
		return;
	}
	to_wire(t, out, n);
	slot->chip->cls->transfer(slot->chip, t->tx ? out : NULL, in, n);
	to_wire(t, in, n);
}

static void simulate(struct spi *s, const struct transfer *t)
{
	struct spi_chip *chip = s->slots[t->cs].chip;
	struct iov_iter out, in;

	iov_iter_init(&out, t->chain->iov, t->chain->n_out);
	iov_skip(&out, sizeof(t->head));
	iov_iter_init(&in, vq_in(t->chain), t->chain->n_in);
	if (chip && chip->cls->begin)
		chip->cls->begin(chip, t->tx);
	for (uint32_t at = 0, n; at < t->len; at += n) {
		n = (uint32_t)min_u64(t->len - at, SPI_CHUNK);
		if (t->tx)
			iov_read(&out, s->chunk[0], n);
		else
			memset(s->chunk[0], 0, n);
		exchange(s, t, n);
		if (t->rx)
			iov_write(&in, s->chunk[1], n);
	}
	if (chip && chip->cls->end)
		chip->cls->end(chip);
}

/* What the head asks to wait, ns. */
static uint64_t delays(const struct transfer *t, bool selected)
{
	const struct spi_transfer_head *h = &t->head;
	uint64_t words = t->len / spi_word_bytes(h->bits_per_word);
	uint64_t ns = (words - 1) * le32toh(h->word_delay_ns);

	if (!selected)
		ns += le32toh(h->cs_setup_ns);
	if (h->cs_change)
		ns += (uint64_t)le32toh(h->cs_delay_hold_ns) +
		      le32toh(h->cs_change_delay_inactive_ns);
	return ns;
}

/* A chip works on bytes: words of other sizes mean nothing to it. */
static bool chip_takes(const struct slot *slot, const struct transfer *t)
{
	uint8_t bits = t->head.bits_per_word;

	return slot->kind != SLOT_CHIP || t->mode & SPI_MODE_LOOP || bits == 8 || bits == 16 ||
	       bits == 32;
}

static void start_simulated(struct spi *s, const struct transfer *t, bool selected)
{
	struct slot *slot = &s->slots[t->cs];
	uint64_t ns = delays(t, selected);

	if (!chip_takes(slot, t) || t->len > SPI_TRANSFER_MAX) {
		end_transfer(s, SPI_TRANS_ERR);
		return;
	}
	simulate(s, t);
	if (t->head.cs_change)
		deselect(s);
	if (!ns) {
		end_transfer(s, SPI_TRANS_OK);
		return;
	}
	s->busy = true;
	ev_timer_set(&s->delay, ns);
}

static void delay_over(void *arg)
{
	struct spi *s = arg;

	s->busy = false;
	end_transfer(s, SPI_TRANS_OK);
	vdev_kick(&s->dev, REQUESTQ);
}

/* Requests. */

static void start_transfer(struct spi *s)
{
	struct transfer *t = &s->now;
	struct slot *slot = &s->slots[t->cs];
	bool selected = s->selected == (int)t->cs;

	if (slot->kind == SLOT_EMPTY) {
		s->denied++;
		if (log_allowed(&s->denials, 1))
			vdev_event(&s->dev, "denied",
				"the guest asked for chip select %u, where no chip is", t->cs);
		end_transfer(s, SPI_TRANS_ERR);
		return;
	}
	/* Only when the chip that was selected is no more. */
	if (!selected && deselect(s))
		return;
	s->selected = (int)t->cs;
	if (slot->chip && t->head.cs_change)
		slot->chip->framed = true;
	if (slot->kind == SLOT_HOST) {
		if (t->head.cs_change)
			s->selected = -1;
		spi_host_transfer(s, t, !t->head.cs_change);
	} else {
		start_simulated(s, t, selected);
	}
}

/* False if the head is too short, a parameter is not valid, or the lengths are not (5.21.6.4). */
static bool parse(const struct spi *s, struct transfer *t)
{
	const struct vq_chain *c = t->chain;
	uint64_t tx_len, rx_len = c->in_len - 1;
	struct iov_iter it;

	iov_iter_init(&it, c->iov, c->n_out);
	if (iov_read(&it, &t->head, sizeof(t->head)) != sizeof(t->head))
		return false;
	tx_len = c->out_len - sizeof(t->head);
	t->cs = t->head.chip_select_id;
	t->mode = le32toh(t->head.mode);
	t->tx = tx_len;
	t->rx = rx_len;
	t->len = (uint32_t)max_u64(tx_len, rx_len);
	return (t->tx || t->rx) && (!t->tx || !t->rx || tx_len == rx_len) &&
	       max_u64(tx_len, rx_len) <= UINT32_MAX && spi_head_valid(s, &t->head) &&
	       t->len % spi_word_bytes(t->head.bits_per_word) == 0;
}

/* False if there is none, or the queue is broken. */
static bool next_request(struct spi *s)
{
	struct vq_chain *c;

	if (vq_pop_or_kick(s->dev.queues[REQUESTQ], &c) != 1)
		return false;
	if (!c->in_len) {
		vdev_broken(&s->dev, REQUESTQ,
			"a request has no room for its result (VIRTIO 1.4, 5.21.6.1)");
		return false;
	}
	s->now = (struct transfer){ .chain = c };
	if (parse(s, &s->now))
		start_transfer(s);
	else
		end_transfer(s, SPI_PARAM_ERR);
	return true;
}

static void spi_kick(struct vdev *dev, unsigned q)
{
	struct spi *s = to_spi(dev);
	uint64_t bytes = 0;

	for (unsigned n = 0; !s->busy; n++) {
		if (n == TURN_MAX || bytes > TURN_BYTES) {
			ev_task_post(&s->again);
			break;
		}
		if (!next_request(s))
			break;
		bytes += s->now.len;
	}
	vq_flush(dev->queues[REQUESTQ]);
}

static void serve_again(void *arg)
{
	struct spi *s = arg;

	vdev_kick(&s->dev, REQUESTQ);
}

void spi_ended(struct spi *s, uint8_t result, const uint8_t *rx)
{
	struct transfer *t = &s->now;
	struct iov_iter it;

	if (t->chain) {
		if (result == SPI_TRANS_OK && t->rx) {
			iov_iter_init(&it, vq_in(t->chain), t->chain->n_in);
			iov_write(&it, rx, t->len);
		}
		end_transfer(s, result);
	} else {
		deselect(s); /* the reset could not, as the chip was in use */
	}
}

void spi_released(struct spi *s)
{
	if (s->now.chain)
		start_transfer(s);
}

/* A job goes on, and nobody waits for it. */
static void spi_queue_stop(struct vdev *dev, unsigned q)
{
	struct spi *s = to_spi(dev);

	if (s->delay.armed) {
		ev_timer_stop(&s->delay);
		s->busy = false;
	}
	ev_task_cancel(&s->again);
	s->now.chain = NULL;
	if (!s->busy)
		deselect(s);
	for (unsigned i = 0; i < SPI_CS_MAX; i++)
		if (s->slots[i].chip)
			s->slots[i].chip->framed = false;
}

static void spi_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct spi_config c;

	spi_config(to_spi(dev), &c);
	memcpy(buf, (const uint8_t *)&c + offset, len);
}

static int spi_init(struct vdev *dev, struct err *e)
{
	struct spi *s = to_spi(dev);
	int r;

	s->selected = -1;
	ev_timer_init(dev->loop, &s->delay, delay_over, s);
	ev_task_init(dev->loop, &s->again, serve_again, s);
	dev->nqueues = 1;
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(struct spi_config);
	r = spi_set_up(s, e);
	if (r)
		spi_tear_down(s);
	return r;
}

static void spi_finish(struct vdev *dev)
{
	spi_tear_down(to_spi(dev));
}

static void show(const struct slot *slot, unsigned cs, FILE *answer)
{
	if (slot->kind == SLOT_EMPTY)
		return;
	fprintf(answer, "%u ", cs);
	if (slot->kind == SLOT_CHIP)
		slot->chip->cls->show(slot->chip, answer);
	else if (slot->kind == SLOT_HOST)
		fprintf(answer, "%s%s", slot->path, slot->fd < 0 || slot->stale ? " gone" : "");
	else
		fputs("loopback", answer);
	fputs("\n", answer);
}

static int spi_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct spi *s = to_spi(dev);
	struct spi_chip *chip;
	uint64_t cs;
	int r;

	if (argc == 1 && !strcmp(argv[0], "list")) {
		for (unsigned i = 0; i < SPI_CS_MAX; i++)
			show(&s->slots[i], i, answer);
		return 0;
	}
	if (words_number(argv[0], 0, s->chip_selects - 1, &cs))
		return err_set(e, -EINVAL,
			"'%.32s' is no chip select from 0 to %u; the words are: list, or "
			"CHIPSELECT "
			"[peek AT [COUNT] | poke AT BYTE...]",
			argv[0], s->chip_selects - 1);
	if (argc == 1) {
		show(&s->slots[cs], (unsigned)cs, answer);
		return 0;
	}
	chip = s->slots[cs].chip;
	if (!chip || !chip->bytes.size)
		return err_set(e, -EINVAL, "nothing at chip select %u has contents", (unsigned)cs);
	if (chip_tell(&chip->bytes, chip, argc - 1, argv + 1, answer, &r, e))
		return r;
	return err_set(
		e, -EINVAL, "'%.32s': a chip '%s' takes peek and poke", argv[1], chip->cls->name);
}

static const struct vdev_metric spi_metrics[] = {
	{ "transfers", offsetof(struct spi, transfers), "transfers done" },
	{ "tx_bytes", offsetof(struct spi, tx_bytes), "bytes sent by the guest" },
	{ "rx_bytes", offsetof(struct spi, rx_bytes), "bytes received by the guest" },
	{ "param_errors", offsetof(struct spi, param_errors), "requests with wrong parameters" },
	{ "errors", offsetof(struct spi, errors), "transfers that failed" },
	{ "denied", offsetof(struct spi, denied), "transfers for chip selects without a chip" },
	{ "host_failures", offsetof(struct spi, host_failures),
		"transfers that the host's controller could not do" },
	{ NULL, 0, NULL },
};

static const unsigned long spi_ioctls[] = { SPI_IOC_RD_MAX_SPEED_HZ, SPI_IOC_WR_MODE32,
	SPI_IOC_MESSAGE(1), 0 };
static const struct vdev_sandbox spi_sandbox = { .ioctls = spi_ioctls };

const struct vdev_class vdev_spi = {
	.name = "spi",
	.id = VIRTIO_ID_SPI,
	.pci_class = 0x0c8000, /* serial bus controller, other */
	.summary = "SPI controller with simulated chips and chips of the host",
	.size = sizeof(struct spi),
	.opts = spi_opts,
	.metrics = spi_metrics,
	.sandbox = &spi_sandbox,
	.init = spi_init,
	.finish = spi_finish,
	.queue_stop = spi_queue_stop,
	.kick = spi_kick,
	.config_read = spi_config_read,
	.command = spi_command,
};
