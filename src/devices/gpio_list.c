/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key `lines` of the GPIO device: "door wire:door", "lamp sim out=0", "reset chip:gpiochip0/5",
 * "gap 3" (docs/devices/gpio.md).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/gpio_priv.h"

/* One item of the list while it is read. */
struct item {
	char *name;   /* "" if the line has none */
	char *behind; /* "sim", "wire:NET", "chip:CHIP/LINE" */
	char *words;  /* the rest */
	bool in, out, open_drain;
	int safe;
	enum wire_drive start;
	enum wire_pull pull;
	bool has_pull, has_start;
	struct chipline_config host;
};

/* Words. */

/* Cuts the first word, which may be in quotation marks, off `*text`; NULL: the mark has no end. */
static char *first_word(char **text)
{
	char *word = *text + strspn(*text, " \t");
	char quote = *word;
	char *end;

	if (quote == '\'' || quote == '"') {
		word++;
		end = strchr(word, quote);
		if (!end || (end[1] && end[1] != ' ' && end[1] != '\t'))
			return NULL;
	} else {
		end = word + strcspn(word, " \t");
	}
	*text = *end ? end + 1 : end;
	*end = 0;
	return word;
}

static int parse_pull(struct item *it, const char *word)
{
	static const struct {
		const char *word;
		int pull, bias;
	} pulls[] = {
		{ "pull=up", WIRE_PULL_UP, CHIPLINE_PULL_UP },
		{ "pull=down", WIRE_PULL_DOWN, CHIPLINE_PULL_DOWN },
		{ "float", WIRE_FLOAT, CHIPLINE_BIAS_OFF },
	};

	for (unsigned i = 0; i < ARRAY_LEN(pulls); i++)
		if (!strcmp(word, pulls[i].word)) {
			it->pull = (enum wire_pull)pulls[i].pull;
			it->host.bias = (unsigned)pulls[i].bias;
			it->has_pull = true;
			return 0;
		}
	return -EINVAL;
}

static int parse_property(struct item *it, const char *word)
{
	if (!strcmp(word, "in"))
		it->in = true;
	else if (!strcmp(word, "out"))
		it->out = true;
	else if (!strcmp(word, "out=0") || !strcmp(word, "out=1"))
		it->out = true, it->safe = word[4] - '0';
	else if (!strcmp(word, "=0") || !strcmp(word, "=1"))
		it->has_start = true, it->start = word[1] == '1' ? WIRE_HIGH : WIRE_LOW;
	else if (!strcmp(word, "open-drain"))
		it->open_drain = true, it->host.drive = CHIPLINE_OPEN_DRAIN;
	else if (!strcmp(word, "open-source"))
		it->host.drive = CHIPLINE_OPEN_SOURCE;
	else if (!strcmp(word, "active-low"))
		it->host.active_low = true;
	else
		return parse_pull(it, word);
	return 0;
}

static int check_name(const char *name, struct err *e)
{
	if (!*name || strlen(name) > GPIO_LINE_NAME_MAX)
		return err_set(e, -EINVAL, "a name has 1 to %u characters; - stands for none",
			GPIO_LINE_NAME_MAX);
	for (const char *p = name; *p; p++)
		if (*p < ' ' || *p >= 127)
			return err_set(
				e, -EINVAL, "a name is printable ASCII (VIRTIO 1.4, 5.18.6.1)");
	return 0;
}

/* What does not go together. */
static int check_item(const struct item *it, struct err *e)
{
	bool sim = !strcmp(it->behind, "sim"), chip = !strncmp(it->behind, "chip:", 5);

	if (it->in && it->out)
		return err_set(e, -EINVAL, "in and out exclude each other; neither of them: both");
	if (it->has_start && !sim)
		return err_set(e, -EINVAL, "=0 and =1 are for simulated lines (sim)");
	if (it->has_pull && !sim && !chip)
		return err_set(e, -EINVAL, "the pull of a wire is a property of its net (`nets`)");
	if ((it->host.active_low || it->host.drive == CHIPLINE_OPEN_SOURCE) && !chip)
		return err_set(
			e, -EINVAL, "active-low and open-source are for lines of the host (chip:)");
	if (!sim && !chip && strncmp(it->behind, "wire:", 5) != 0)
		return err_set(
			e, -EINVAL, "'%.40s' is not sim, wire:NET or chip:CHIP/LINE", it->behind);
	return 0;
}

static int parse_item(struct item *it, char *text, struct err *e)
{
	char *word;
	int r;

	*it = (struct item){ .name = first_word(&text), .safe = -1 };
	if (!it->name)
		return err_set(e, -EINVAL, "a quotation mark has no other, or no blank behind it");
	r = check_name(it->name, e);
	if (r)
		return r;
	if (!strcmp(it->name, "-"))
		it->name = text + strlen(text);
	it->behind = first_word(&text);
	for (r = it->behind ? 0 : -EINVAL; !r && (word = first_word(&text)) && *word;) {
		r = parse_property(it, word);
		if (r)
			return err_set(e, r,
				"unknown word '%.32s'; in, out, out=0, out=1, =0, =1, pull=up, "
				"pull=down, float, open-drain, open-source, active-low",
				word);
	}
	if (r || !word)
		return err_set(e, -EINVAL, "quotation marks are for names");
	return check_item(it, e);
}

/* "gap" or "gap N": how many lines; 0: it is no gap; -EINVAL. */
static long parse_gap(const char *text, struct err *e)
{
	char *end;
	unsigned long n;

	text += strspn(text, " \t");
	if (strncmp(text, "gap", 3) != 0 || (text[3] && text[3] != ' ' && text[3] != '\t'))
		return 0;
	text += 3 + strspn(text + 3, " \t");
	if (!*text)
		return 1;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || !n || n > GPIO_LINES_MAX)
		return err_set(e, -EINVAL, "a gap has 1 to %u lines: \"gap 3\"", GPIO_LINES_MAX);
	return (long)n;
}

/* Lines. */

/* The net of a line: its own one (sim), one that others share, or one of the device's. */
static int find_net(struct gpio_line *l, const struct item *it, struct wire **wire, struct err *e)
{
	const char *name = !strncmp(it->behind, "wire:", 5) ? it->behind + 5 : NULL;
	struct gpio *g = l->gpio;
	char number[24];

	if (name && g->shared)
		return wires_find(g->shared, name, wire, e);
	if (name && !wires_find(g->wires, name, wire, NULL))
		return 0;
	if (name)
		return wires_add(g->wires, name, wire, e);
	snprintf(number, sizeof(number), "line%u", l->number);
	return wires_add_net(g->wires, l->name ? l->name : number, it->pull, it->start, wire, e);
}

static int open_net(struct gpio_line *l, const struct item *it, struct err *e)
{
	struct wire *wire;
	int r = find_net(l, it, &wire, e);

	if (r)
		return r;
	if (asprintf(&l->full_name, "%s %s", l->gpio->port, l->name ? l->name : wire_name(wire)) <
		0) {
		l->full_name = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	l->kind = GPIO_NET;
	l->end.name = l->full_name;
	l->end.changed = gpio_line_net_changed;
	wire_attach(wire, &l->end);
	return 0;
}

static int open_host(struct gpio_line *l, const struct item *it, struct err *e)
{
	int r;

	l->host.changed = gpio_line_host_changed;
	r = chipline_open(&l->host, l->gpio->chips, it->behind + 5, &it->host, e);
	if (!r)
		l->kind = GPIO_HOST;
	return r;
}

static int open_line(struct gpio_line *l, const struct item *it, struct err *e)
{
	int r;

	l->no_in = it->out;
	l->no_out = it->in;
	l->safe = (int8_t)it->safe;
	l->open_drain = it->open_drain;
	if (*it->name) {
		l->name = strdup(it->name);
		if (!l->name)
			return err_set(e, -ENOMEM, "out of memory");
	}
	r = strncmp(it->behind, "chip:", 5) ? open_net(l, it, e) : open_host(l, it, e);
	if (!r && l->safe >= 0 && gpio_line_apply(l))
		r = err_set(e, -EBUSY, "the line cannot be driven (gpioinfo shows who has it)");
	return r;
}

static int add_item(struct gpio *g, const char *text, struct err *e)
{
	autofree char *copy = strdup(text);
	long gap = parse_gap(text, e);
	struct item it;
	int r = gap < 0 ? (int)gap : 0;

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	if (!gap)
		r = parse_item(&it, copy, e);
	if (!r && !gap)
		r = open_line(&g->lines[g->n], &it, e);
	if (r)
		return err_prefix(e, "line %u, \"%.80s\"", g->n, text);
	g->n += gap ? (unsigned)gap : 1;
	return 0;
}

int gpio_check_item(const char *text, char net[WIRES_NAME_MAX + 1], struct err *e)
{
	autofree char *copy = strdup(text);
	long gap = parse_gap(text, e);
	struct item it;
	int r = gap < 0 ? (int)gap : 0;

	net[0] = 0;
	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	if (!gap)
		r = parse_item(&it, copy, e);
	if (r)
		return err_prefix(e, "line \"%.80s\"", text);
	if (!gap && !strncmp(it.behind, "wire:", 5))
		snprintf(net, WIRES_NAME_MAX + 1, "%s", it.behind + 5);
	return 0;
}

/* How many lines the list has. */
static int count(const struct gpio *g, unsigned *n, struct err *e)
{
	*n = 0;
	for (unsigned i = 0; i < g->list.n; i++) {
		long gap = parse_gap(g->list.v[i], e);

		if (gap < 0)
			return err_prefix(e, "line %u, \"%.80s\"", *n, g->list.v[i]);
		*n += gap ? (unsigned)gap : 1;
		if (*n > GPIO_LINES_MAX)
			return err_set(
				e, -EINVAL, "a GPIO device has at most %u lines", GPIO_LINES_MAX);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two lines have the same name (5.18.6.9). Also sums up the block of names. */
static int check_names(struct gpio *g, struct err *e)
{
	autofree const char **names = calloc(g->n, sizeof(*names));
	unsigned named = 0;

	if (!names)
		return err_set(e, -ENOMEM, "out of memory");
	g->names_size = g->n;
	for (unsigned i = 0; i < g->n; i++)
		if (g->lines[i].name) {
			g->names_size += (uint32_t)strlen(g->lines[i].name);
			names[named++] = g->lines[i].name;
		}
	if (!named)
		g->names_size = 0;
	qsort(names, named, sizeof(*names), by_name);
	for (unsigned i = 1; i < named; i++)
		if (!strcmp(names[i - 1], names[i]))
			return err_set(e, -EINVAL,
				"two lines have the name '%s' (VIRTIO 1.4, 5.18.6.9)", names[i]);
	return 0;
}

int gpio_lines_open(struct gpio *g, struct err *e)
{
	unsigned n;
	int r = count(g, &n, e);

	if (!r && !n)
		r = err_set(e, -EINVAL, "`lines` is empty: a GPIO device has at least one line");
	if (r)
		return r;
	g->lines = calloc(n, sizeof(*g->lines));
	if (!g->lines)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		g->lines[i].gpio = g;
		g->lines[i].number = (uint16_t)i;
		g->lines[i].safe = -1;
	}
	for (unsigned i = 0; !r && i < g->list.n; i++)
		r = add_item(g, g->list.v[i], e);
	/* What add_item() opened is closed by its number. */
	g->n = n;
	return r ? r : check_names(g, e);
}

void gpio_lines_close(struct gpio *g)
{
	for (unsigned i = 0; g->lines && i < g->n; i++) {
		struct gpio_line *l = &g->lines[i];

		wire_detach(&l->end);
		chipline_close(&l->host);
		free(l->name);
		free(l->full_name);
	}
	free(g->lines);
	g->lines = NULL;
	g->n = 0;
}
