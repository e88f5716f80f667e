/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of GPIO lines (VIRTIO 1.4, 5.18.6.6 and 5.18.7). An interrupt is enabled by its type
 * and unmasked by a buffer of eventq that carries the line's number. Where the text leaves room:
 *
 * - A buffer for a line that is not enabled, that has one already, or that does not exist comes
 *   back at once as INVALID: 5.18.6.6 says so for the first, and there is no better answer.
 * - Enabling with the type that is enabled already succeeds and changes nothing; another type is
 *   an error, since the driver must disable first.
 */
#include <errno.h>

#include "base/iov.h"
#include "devices/gpio_priv.h"

/* Returns a buffer, which masks its line's interrupt. */
static void give_back(struct gpio *g, struct vq_chain *c, uint8_t status)
{
	struct iov_iter it;

	iov_iter_init(&it, vq_in(c), c->n_in);
	iov_write(&it, &status, sizeof(status));
	vq_push(c->vq, c, sizeof(status));
	if (status == GPIO_IRQ_STATUS_VALID)
		g->irqs++;
	else
		g->irqs_returned++;
}

static void interrupt(struct gpio_line *l)
{
	struct vq_chain *c = l->unmasked;

	l->unmasked = NULL;
	l->latched = false;
	give_back(l->gpio, c, GPIO_IRQ_STATUS_VALID);
}

static bool is_level(const struct gpio_line *l)
{
	return l->irq == GPIO_IRQ_HIGH || l->irq == GPIO_IRQ_LOW;
}

/* True if the line is at the level that its interrupt waits for. */
static bool is_active(struct gpio_line *l)
{
	int level = gpio_line_sense(l);

	return level >= 0 && level == (l->irq == GPIO_IRQ_HIGH);
}

void gpio_irq_disable(struct gpio_line *l)
{
	struct vq_chain *c = l->unmasked;

	l->irq = GPIO_IRQ_NONE;
	l->latched = false;
	l->unmasked = NULL;
	if (!c)
		return;
	give_back(l->gpio, c, GPIO_IRQ_STATUS_INVALID);
	vq_flush(c->vq);
}

uint8_t gpio_irq_set_type(struct gpio_line *l, uint32_t type)
{
	if (!vdev_has(&l->gpio->dev, VIRTIO_GPIO_F_IRQ))
		return GPIO_STATUS_ERR;
	if (type > GPIO_IRQ_BOTH && type != GPIO_IRQ_HIGH && type != GPIO_IRQ_LOW)
		return GPIO_STATUS_ERR;
	if (type == l->irq)
		return GPIO_STATUS_OK;
	if (type == GPIO_IRQ_NONE) {
		gpio_irq_disable(l);
		return gpio_line_apply(l) ? GPIO_STATUS_ERR : GPIO_STATUS_OK;
	}
	/* Enabled already, or not an input (5.18.6.8). */
	if (l->irq || l->direction == GPIO_OUT || l->no_in)
		return GPIO_STATUS_ERR;
	l->irq = (uint8_t)type;
	if (!gpio_line_apply(l)) {
		l->level = gpio_line_sense(l) > 0;
		return GPIO_STATUS_OK;
	}
	l->irq = GPIO_IRQ_NONE;
	return GPIO_STATUS_ERR;
}

void gpio_irq_level(struct gpio_line *l, bool level)
{
	struct vdev *dev = &l->gpio->dev;
	bool broken = dev->status & VIRTIO_S_NEEDS_RESET;
	bool active = is_level(l) ? level == (l->irq == GPIO_IRQ_HIGH)
				  : l->irq & (level ? GPIO_IRQ_RISING : GPIO_IRQ_FALLING);

	l->level = level;
	if (active && l->unmasked && !broken) {
		interrupt(l);
		vq_flush(dev->queues[GPIO_EVENTQ]);
		vdev_check(dev, GPIO_EVENTQ);
	} else if (active && !is_level(l)) {
		l->gpio->irqs_latched += !l->latched;
		l->latched = true;
	}
	gpio_state_save(l);
}

/* A buffer of eventq: its line's interrupt is unmasked. */
static void unmask(struct gpio *g, struct vq_chain *c)
{
	struct virtio_gpio_irq_request req;
	struct gpio_line *l = NULL;
	struct iov_iter it;

	iov_iter_init(&it, c->iov, c->n_out);
	if (iov_read(&it, &req, sizeof(req)) == sizeof(req) && le16toh(req.gpio) < g->n)
		l = &g->lines[le16toh(req.gpio)];
	if (!l || !l->irq || l->unmasked) {
		give_back(g, c, GPIO_IRQ_STATUS_INVALID);
		return;
	}
	l->unmasked = c;
	if (is_level(l) ? is_active(l) : l->latched)
		interrupt(l);
	gpio_state_save(l);
}

bool gpio_irq_serve(struct gpio *g)
{
	struct vq *vq = g->dev.queues[GPIO_EVENTQ];
	struct vq_chain *c;
	unsigned i;

	/* As many as there can be at once, before requests get a turn. */
	for (i = 0; i < vq_size(vq) && vq_pop_or_kick(vq, &c) == 1; i++) {
		if (!c->in_len) {
			vdev_broken(&g->dev, GPIO_EVENTQ,
				"a buffer has no room for the status (5.18.7)");
			return false;
		}
		unmask(g, c);
	}
	vq_flush(vq);
	return i == vq_size(vq);
}

void gpio_irq_forget(struct gpio *g)
{
	for (unsigned i = 0; i < g->n; i++)
		g->lines[i].unmasked = NULL;
}
