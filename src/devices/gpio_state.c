/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state of GPIO lines in a file that outlives the process (key `state`): when it was killed and
 * is started again, its driver does not know, and goes on with the lines as it left them. One word
 * per line, each written at once; a file of another size is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"
#include "devices/gpio_priv.h"

/* Bits of a word: direction in 0 and 1, irq in 8 to 11. */
#define VALUE	(1u << 2)
#define LATCHED (1u << 3)
#define LEVEL	(1u << 4) /* the last one that was sensed for an edge */
#define IRQ_AT	8

int gpio_state_open(struct gpio *g, struct err *e)
{
	size_t len = g->n * sizeof(*g->state);
	autoclose int fd = -1;
	struct stat st;
	void *p;

	if (!g->state_path)
		return 0;
	fd = open(g->state_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, -errno, "cannot open the state file %s", g->state_path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the state %s is not a regular file", g->state_path);
	if ((uint64_t)st.st_size != len && (ftruncate(fd, 0) || ftruncate(fd, (off_t)len)))
		return err_sys(e, -errno, "cannot resize the state file %s", g->state_path);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the state file %s", g->state_path);
	g->state = p;
	return 0;
}

void gpio_state_close(struct gpio *g)
{
	if (g->state)
		munmap(g->state, g->n * sizeof(*g->state));
	g->state = NULL;
}

void gpio_state_save(const struct gpio_line *l)
{
	uint32_t word = l->direction | (l->value ? VALUE : 0) | (l->latched ? LATCHED : 0) |
			(l->level ? LEVEL : 0) | (uint32_t)l->irq << IRQ_AT;

	/* Until the driver is there, what lines do is not what it left. */
	if (l->gpio->state && l->gpio->touched)
		__atomic_store_n(&l->gpio->state[l->number], word, __ATOMIC_RELAXED);
}

static bool is_irq(uint32_t irq)
{
	return irq <= GPIO_IRQ_BOTH || irq == GPIO_IRQ_HIGH || irq == GPIO_IRQ_LOW;
}

/* An edge that nobody saw, while no process was there, is latched. */
static void make_up_edge(struct gpio_line *l, bool before)
{
	bool edges = l->irq && l->irq <= GPIO_IRQ_BOTH;
	int level = edges ? gpio_line_sense(l) : -1;

	if (level < 0)
		return;
	l->level = level;
	if (l->level != before && l->irq & (l->level ? GPIO_IRQ_RISING : GPIO_IRQ_FALLING))
		l->latched = true;
}

/* The file may be anybody's: what a driver cannot ask for is not taken from it either. */
static bool is_possible(const struct gpio_line *l, uint32_t word)
{
	uint32_t direction = word & 3, irq = word >> IRQ_AT & 15;

	if (l->kind == GPIO_GAP || !is_irq(irq) || (irq && l->no_in))
		return false;
	if (direction == GPIO_OUT)
		return !l->no_out && !irq;
	return direction == GPIO_NONE || (direction == GPIO_IN && !l->no_in);
}

static void restore_output(struct gpio_line *l, uint32_t word)
{
	l->direction = word & 3;
	l->value = word & VALUE;
	gpio_line_apply(l);
}

static void restore_irq(struct gpio_line *l, uint32_t word)
{
	l->irq = word >> IRQ_AT & 15;
	if (!l->irq)
		return;
	l->latched = word & LATCHED;
	gpio_line_apply(l);
	make_up_edge(l, word & LEVEL);
}

void gpio_state_restore(struct gpio *g)
{
	uint32_t *state = g->state;

	if (!state)
		return;
	/* Nothing is saved meanwhile. Outputs come first: what they do to inputs is no news. */
	g->state = NULL;
	for (unsigned i = 0; i < g->n; i++)
		if (is_possible(&g->lines[i], state[i]))
			restore_output(&g->lines[i], state[i]);
	for (unsigned i = 0; i < g->n; i++)
		if (is_possible(&g->lines[i], state[i]))
			restore_irq(&g->lines[i], state[i]);
	g->state = state;
	for (unsigned i = 0; i < g->n; i++)
		gpio_state_save(&g->lines[i]);
}
