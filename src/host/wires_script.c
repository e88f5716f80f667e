/* SPDX-License-Identifier: BSD-3-Clause */
/* How nets are written down, the script that drives them, and what the operator says. See wires.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/wires_priv.h"

const struct opt wires_opts[] = {
	WIRES_OPTS(struct wires_config, ),
	OPT_END,
};

int wire_parse_drive(const char *text, enum wire_drive *drive, struct err *e)
{
	static const char *const words[] = { [WIRE_Z] = "z", [WIRE_LOW] = "0", [WIRE_HIGH] = "1" };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(text, words[i])) {
			*drive = (enum wire_drive)i;
			return 0;
		}
	return err_set(e, -EINVAL, "'%.32s' is no level: 0, 1, or z to let go", text);
}

/* Names are written without blanks, and "=" begins a property. */
static int check_name(const char *name, struct err *e)
{
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p >= 127 || *p == '=')
			return err_set(e, -EINVAL,
				"'%.64s' is no name of a net: printable ASCII without blanks and =",
				name);
	if (strlen(name) > WIRES_NAME_MAX)
		return err_set(e, -EINVAL, "net '%.80s': a name has at most %u characters", name,
			WIRES_NAME_MAX);
	return 0;
}

static int parse_property(
	const char *word, enum wire_pull *pull, enum wire_drive *start, struct err *e)
{
	static const char *const pulls[] = {
		[WIRE_PULL_DOWN] = "pull=down", [WIRE_PULL_UP] = "pull=up", [WIRE_FLOAT] = "float"
	};

	for (unsigned i = 0; i < ARRAY_LEN(pulls); i++)
		if (!strcmp(word, pulls[i])) {
			*pull = (enum wire_pull)i;
			return 0;
		}
	if (!strcmp(word, "=0") || !strcmp(word, "=1")) {
		*start = word[1] == '1' ? WIRE_HIGH : WIRE_LOW;
		return 0;
	}
	return err_set(
		e, -EINVAL, "unknown word '%.32s'; pull=up, pull=down, float, =0 or =1", word);
}

/* Takes a net's text apart, in place. */
static int parse_net(
	char *text, char **name, enum wire_pull *pull, enum wire_drive *start, struct err *e)
{
	char *save = NULL;
	int r;

	*pull = WIRE_PULL_DOWN;
	*start = WIRE_Z;
	*name = strtok_r(text, " \t", &save);
	if (!*name)
		return err_set(e, -EINVAL, "a net without a name");
	r = check_name(*name, e);
	for (char *word; !r && (word = strtok_r(NULL, " \t", &save));) {
		r = parse_property(word, pull, start, e);
		if (r)
			err_prefix(e, "net '%.64s'", *name);
	}
	return r;
}

int wires_add(struct wires *w, const char *text, struct wire **wire, struct err *e)
{
	autofree char *copy = strdup(text);
	enum wire_drive start;
	enum wire_pull pull;
	char *name;
	int r = copy ? parse_net(copy, &name, &pull, &start, e)
		     : err_set(e, -ENOMEM, "out of memory");

	return r ? r : wires_add_net(w, name, pull, start, wire, e);
}

int wires_check_net(const char *text, char out[WIRES_NAME_MAX + 1], struct err *e)
{
	autofree char *copy = strdup(text);
	enum wire_drive start;
	enum wire_pull pull;
	char *name;
	int r = copy ? parse_net(copy, &name, &pull, &start, e)
		     : err_set(e, -ENOMEM, "out of memory");

	if (!r)
		snprintf(out, WIRES_NAME_MAX + 1, "%s", name);
	return r;
}

/* The script: "1.250 door 1". */

struct record {
	struct wire *wire;
	enum wire_drive drive;
};

/* Takes blanks off the end of `text`. */
static void trim(char *text)
{
	for (size_t n = strlen(text); n && (text[n - 1] == ' ' || text[n - 1] == '\t'); n--)
		text[n - 1] = 0;
}

/* Parts "door 1" into the name, which may have blanks in it, and the last word; NULL: one word. */
static char *last_word(char *text)
{
	char *word;

	trim(text);
	word = strrchr(text, 0);
	while (word > text && word[-1] != ' ' && word[-1] != '\t')
		word--;
	if (word == text)
		return NULL;
	word[-1] = 0;
	trim(text);
	return word;
}

static int parse(
	void *arg, char *line, unsigned number, void *record, uint64_t *time_ns, struct err *e)
{
	struct record *rec = record;
	const char *end;
	char *net, *level;
	int r;

	line[strcspn(line, "#\r")] = 0;
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	if (replay_parse_seconds(line, &end, time_ns) || (*end != ' ' && *end != '\t'))
		return err_set(e, -EINVAL, "'%.64s' does not begin with a time in seconds", line);
	net = line + (end - line);
	net += strspn(net, " \t");
	level = last_word(net);
	if (!level)
		return err_set(e, -EINVAL, "a line is TIME NET LEVEL, as \"1.250 door 1\"");
	r = wire_parse_drive(level, &rec->drive, e);
	if (!r)
		r = wires_find(arg, net, &rec->wire, e);
	return r ? r : 1;
}

static void due(void *arg, const void *record)
{
	const struct record *rec = record;

	wire_set(rec->wire, rec->drive);
}

static void ended(void *arg)
{
	struct wires *w = arg;

	log_info(w->log, "the script %s is at its end", w->config->replay.file);
}

static const struct replay_ops script_ops = {
	.record_size = sizeof(struct record),
	.parse = parse,
	.due = due,
	.ended = ended,
};

static void start_script(struct wires *w)
{
	w->replayed = true;
	replay_start(w->replay);
}

/* Starts the script when the last driver is there, once. */
static void look_at_guests(struct wires *w)
{
	if (w->replay && !w->replayed && w->guests_up == w->guests)
		start_script(w);
}

int wires_script_open(struct wires *w, struct err *e)
{
	int r = replay_open(&w->replay, &w->config->replay, &script_ops, w, w->loop, w->log, e);

	if (r)
		return r;
	if (w->config->replay.start_when == REPLAY_NOW)
		start_script(w);
	return 0;
}

void wires_add_guest(struct wires *w, struct wires_guest *g)
{
	g->wires = w;
	w->guests++;
}

void wires_remove_guest(struct wires_guest *g)
{
	if (!g->wires)
		return;
	g->wires->guests_up -= g->up;
	g->wires->guests--;
	*g = (struct wires_guest){ .wires = NULL };
}

void wires_guest_up(struct wires_guest *g, bool up)
{
	if (!g->wires || g->up == up)
		return;
	g->up = up;
	g->wires->guests_up += up ? 1u : -1u;
	if (up)
		look_at_guests(g->wires);
}

/* Commands. */

void wire_describe(const struct wire *wire, FILE *f)
{
	static const char *const pulls[] = { "pulled down", "pulled up", "floats" };
	bool driven = false;

	fprintf(f, "%s %d", wire->name, wire->level);
	if (wire->stuck != WIRE_Z)
		fprintf(f, " stuck");
	else if (wire->state == 'x')
		fprintf(f, " conflict");
	for (const struct wire_end *end = wire->ends; end; end = end->next)
		if (end->drive != WIRE_Z) {
			fprintf(f, "%s %s: %d", driven ? "," : " driven by", end->name,
				end->drive == WIRE_HIGH);
			driven = true;
		}
	fprintf(f, "%s%s\n", driven ? "" : " ", driven ? "" : pulls[wire->pull]);
}

int wires_replay_command(struct wires *w, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	if (!w->replay)
		return err_set(e, -EINVAL, "there is no script (key `replay`)");
	if (argc == 2 && !strcmp(argv[1], "start")) {
		start_script(w);
	} else if (argc == 2 && !strcmp(argv[1], "stop")) {
		w->replayed = true;
		replay_stop(w->replay);
	} else if (argc != 1) {
		return err_set(
			e, -EINVAL, "replay start, replay stop, or replay to see where it is");
	}
	fprintf(answer, "%s, line %zu of %zu\n", replay_playing(w->replay) ? "plays" : "stopped",
		replay_position(w->replay), replay_count(w->replay));
	return 0;
}

static int cmd_get(struct wires *w, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct wire *wire;
	int r = argc > 2 ? err_set(e, -EINVAL, "get [NET]") : 0;

	if (!r && argc == 2)
		r = wires_find(w, argv[1], &wire, e);
	for (unsigned i = 0; !r && i < w->n; i++)
		if (argc < 2 || w->nets[i] == wire)
			wire_describe(w->nets[i], answer);
	return r;
}

/* set NET LEVEL, stuck NET LEVEL|off. */
static int cmd_level(struct wires *w, unsigned argc, char **argv, struct err *e)
{
	bool stuck = !strcmp(argv[0], "stuck");
	enum wire_drive drive = WIRE_Z;
	struct wire *wire;
	int r;

	if (argc != 3)
		return err_set(e, -EINVAL, "%s", stuck ? "stuck NET 0|1|off" : "set NET 0|1|z");
	r = wires_find(w, argv[1], &wire, e);
	if (!r)
		r = wire_parse_drive(stuck && !strcmp(argv[2], "off") ? "z" : argv[2], &drive, e);
	if (r)
		return r;
	if (stuck)
		wire_stick(wire, drive);
	else
		wire_set(wire, drive);
	return 0;
}

int wires_command(struct wires *w, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	if (!strcmp(argv[0], "get"))
		return cmd_get(w, argc, argv, answer, e);
	if (!strcmp(argv[0], "set") || !strcmp(argv[0], "stuck"))
		return cmd_level(w, argc, argv, e);
	if (!strcmp(argv[0], "replay"))
		return wires_replay_command(w, argc, argv, answer, e);
	return err_set(e, -EINVAL,
		"unknown command '%.32s'; set NET 0|1|z, get [NET], stuck NET 0|1|off, replay "
		"[start|stop]",
		argv[0]);
}
