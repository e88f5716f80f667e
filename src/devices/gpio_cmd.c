/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator says to a GPIO device with `avp tell`; docs/devices/gpio.md lists it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/gpio_priv.h"

static const char *irq_word(uint8_t irq)
{
	switch ((enum gpio_irq)irq) {
	case GPIO_IRQ_RISING:
		return " irq=rising";
	case GPIO_IRQ_FALLING:
		return " irq=falling";
	case GPIO_IRQ_BOTH:
		return " irq=both";
	case GPIO_IRQ_HIGH:
		return " irq=high";
	case GPIO_IRQ_LOW:
		return " irq=low";
	case GPIO_IRQ_NONE:
	default:
		return "";
	}
}

/* "2 door: in irq=both; net door 1 driven by the operator: 1". */
static void describe(struct gpio_line *l, FILE *f)
{
	static const char *const directions[] = { "unused", "out", "in" };
	int level;

	fprintf(f, "%u %s: %s%s", l->number, l->name ? l->name : "-", directions[l->direction],
		irq_word(l->irq));
	if (l->irq && !l->unmasked)
		fprintf(f, " (masked%s)", l->latched ? ", latched" : "");
	if (l->kind == GPIO_NET) {
		fputs("; net ", f);
		wire_describe(l->end.wire, f);
		return;
	}
	level = gpio_line_sense(l);
	if (level < 0)
		fprintf(f, "; host line, %s\n", strerror(-level));
	else
		fprintf(f, "; host line %d\n", level);
}

/* A line by its name or number. */
static int find_line(struct gpio *g, const char *word, struct gpio_line **line, struct err *e)
{
	autofree const char **names = calloc(g->n, sizeof(*names));
	const char *near;
	unsigned named = 0;
	unsigned long n;
	char *end;

	if (!names)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < g->n; i++) {
		if (!g->lines[i].name)
			continue;
		*line = &g->lines[i];
		if (!strcmp(g->lines[i].name, word))
			return 0;
		names[named++] = g->lines[i].name;
	}
	n = strtoul(word, &end, 10);
	if (*word >= '0' && *word <= '9' && !*end && n < g->n) {
		*line = &g->lines[n];
		return 0;
	}
	near = opt_nearest(word, names, named);
	return err_set(e, -EINVAL, "there is no line '%.64s'%s%s%s", word,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static int cmd_get(struct gpio *g, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct gpio_line *line;
	int r;

	if (argc > 2)
		return err_set(e, -EINVAL, "get [LINE]");
	if (argc == 2) {
		r = find_line(g, argv[1], &line, e);
		if (!r)
			describe(line, answer);
		return r;
	}
	for (unsigned i = 0; i < g->n; i++)
		if (g->lines[i].kind != GPIO_GAP)
			describe(&g->lines[i], answer);
	return 0;
}

/* set LINE 0|1|z, stuck LINE 0|1|off. */
static int cmd_level(struct gpio *g, unsigned argc, char **argv, struct err *e)
{
	bool stuck = !strcmp(argv[0], "stuck");
	enum wire_drive drive = WIRE_Z;
	struct gpio_line *line;
	int r;

	if (argc != 3)
		return err_set(e, -EINVAL, "%s", stuck ? "stuck LINE 0|1|off" : "set LINE 0|1|z");
	r = find_line(g, argv[1], &line, e);
	if (!r)
		r = wire_parse_drive(stuck && !strcmp(argv[2], "off") ? "z" : argv[2], &drive, e);
	if (r)
		return r;
	if (line->kind != GPIO_NET)
		return err_set(e, -EINVAL,
			"line %s is not simulated: only what it leads to sets it", argv[1]);
	if (stuck)
		wire_stick(line->end.wire, drive);
	else
		wire_set(line->end.wire, drive);
	return 0;
}

int gpio_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct gpio *g = to_gpio(dev);

	if (!strcmp(argv[0], "get"))
		return cmd_get(g, argc, argv, answer, e);
	if (!strcmp(argv[0], "set") || !strcmp(argv[0], "stuck"))
		return cmd_level(g, argc, argv, e);
	if (!strcmp(argv[0], "replay"))
		return wires_replay_command(g->wires, argc, argv, answer, e);
	return err_set(e, -EINVAL,
		"unknown command '%.32s'; set LINE 0|1|z, get [LINE], stuck LINE 0|1|off, replay "
		"[start|stop]",
		argv[0]);
}
