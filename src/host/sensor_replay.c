/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recordings of sensors: CSV files. The first line names the columns; the first column is the time
 * in seconds. An empty field says that there is no new sample of this column at that time.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/sensor_priv.h"

#define ABSENT	      INT64_MIN
#define POSITION_NONE UINT32_MAX
#define NAMES_MAX     400u /* bytes of column names in a message */

/* A column of the recording that is an axis of a sensor. */
struct sensor_column {
	struct sensor *sensor;
	unsigned axis;
	uint32_t position; /* in a line, from 0 */
};

/* Cuts the next field off a line, without the blanks around it; NULL at the end. */
static char *next_field(char **rest)
{
	char *field = strsep(rest, ","), *end;

	if (!field)
		return NULL;
	while (isblank((unsigned char)*field))
		field++;
	end = field + strlen(field);
	while (end > field && isblank((unsigned char)end[-1]))
		*--end = 0;
	return field;
}

static bool is_silent(const char *line)
{
	line += strspn(line, " \t");
	return !*line || *line == '#';
}

static int check_columns(const struct sensors *set, const char *names, struct err *e)
{
	for (unsigned i = 0; i < set->ncolumns; i++) {
		const struct sensor_column *c = &set->columns[i];

		if (c->position == POSITION_NONE)
			return err_set(e, -EINVAL,
				"there is no column '%.60s', which sensor %s needs; columns: %s",
				c->sensor->config->column[c->axis], c->sensor->config->name, names);
	}
	return 0;
}

/* "time,speed,coolant": where the columns in use are. */
static int parse_header(struct sensors *set, char *line, struct err *e)
{
	char names[NAMES_MAX];
	char *field;

	snprintf(names, sizeof(names), "%s", line);
	field = next_field(&line);
	if (isdigit((unsigned char)*field))
		return err_set(e, -EINVAL,
			"'%.60s' is a number, but the first line names the columns", field);
	for (uint32_t at = 1; (field = next_field(&line)); at++) {
		for (unsigned i = 0; i < set->ncolumns; i++) {
			struct sensor_column *c = &set->columns[i];

			if (strcmp(c->sensor->config->column[c->axis], field))
				continue;
			if (c->position != POSITION_NONE && c->position != at)
				return err_set(
					e, -EINVAL, "the column '%.60s' is there twice", field);
			c->position = at;
		}
	}
	set->have_header = true;
	return check_columns(set, names, e);
}

static int parse_field(const struct sensor_column *c, const char *field, int64_t *v, struct err *e)
{
	const struct sensor_config *s = c->sensor->config;
	const char *end;
	int ret;

	if (!*field)
		return 0;
	ret = sensor_parse_value(field, s->exponent, v, &end);
	if (ret == -ERANGE || (!ret && *v == ABSENT))
		return err_set(e, -EINVAL, "%.60s is out of range for sensor %s at exponent %d",
			field, s->name, s->exponent);
	if (ret || *end)
		return err_set(e, -EINVAL, "'%.60s' in column %s is not a number", field,
			s->column[c->axis]);
	return 0;
}

/* A record has the values of the columns in use, in their order. */
static int parse_values(const struct sensors *set, char *line, int64_t *v, struct err *e)
{
	char *field;
	int ret = 0;

	for (unsigned i = 0; i < set->ncolumns; i++)
		v[i] = ABSENT;
	for (uint32_t at = 1; !ret && (field = next_field(&line)); at++)
		for (unsigned i = 0; !ret && i < set->ncolumns; i++)
			if (set->columns[i].position == at)
				ret = parse_field(&set->columns[i], field, &v[i], e);
	return ret;
}

static int parse_line(
	void *arg, char *line, unsigned number, void *record, uint64_t *time_ns, struct err *e)
{
	struct sensors *set = arg;
	const char *end;
	char *field;
	int ret;

	if (is_silent(line))
		return 0;
	if (!set->have_header)
		return parse_header(set, line, e);
	field = next_field(&line);
	if (replay_parse_seconds(field, &end, time_ns) || *end)
		return err_set(e, -EINVAL, "'%.60s' is not a time in seconds, as in 12.5", field);
	ret = parse_values(set, line, record, e);
	return ret ? ret : 1;
}

/* Columns of a sensor follow each other; an axis that is absent keeps its value. */
static void play(void *arg, const void *record)
{
	struct sensors *set = arg;
	const int64_t *v = record;

	for (unsigned i = 0; i < set->ncolumns; i += set->columns[i].sensor->config->axes) {
		struct sensor *s = set->columns[i].sensor;
		int64_t value[SENSOR_AXES_MAX];
		bool any = false;

		for (unsigned k = 0; k < s->config->axes; k++) {
			value[k] = v[i + k] == ABSENT ? s->last.value[k] : v[i + k];
			any |= v[i + k] != ABSENT;
		}
		if (any)
			sensor_push(s, value, 0, set);
	}
}

static void ended(void *arg)
{
	struct sensors *set = arg;

	sensors_event(set, "replay-end", "%s", set->config->replay.file);
}

static void add_column(struct sensors *set, struct sensor *s, unsigned axis)
{
	set->columns[set->ncolumns++] = (struct sensor_column){ s, axis, POSITION_NONE };
}

static int find_columns(struct sensors *set, struct err *e)
{
	unsigned n = 0;

	for (struct sensor *s = set->first; s; s = s->next)
		n += s->config->source == SENSOR_REPLAY ? s->config->axes : 0;
	set->columns = calloc(n + 1, sizeof(*set->columns));
	if (!set->columns)
		return err_set(e, -ENOMEM, "out of memory");
	for (struct sensor *s = set->first; s; s = s->next)
		for (unsigned k = 0; s->config->source == SENSOR_REPLAY && k < s->config->axes; k++)
			add_column(set, s, k);
	return 0;
}

int recording_open(struct sensors *set, struct err *e)
{
	const struct replay_config *c = &set->config->replay;
	int ret = find_columns(set, e);

	if (ret)
		return ret;
	if (!c->file && set->ncolumns)
		return err_set(e, -EINVAL,
			"sensor %s is to be replayed, but no recording is named: replay: FILE",
			set->columns[0].sensor->config->name);
	if (!c->file)
		return 0;
	if (!set->ncolumns)
		return err_set(e, -EINVAL,
			"the recording %s is for no sensor: none has source=replay", c->file);
	set->replay_ops = (struct replay_ops){
		.record_size = set->ncolumns * sizeof(int64_t),
		.parse = parse_line,
		.due = play,
		.ended = ended,
	};
	ret = replay_open(&set->replay, c, &set->replay_ops, set, set->loop, set->log, e);
	if (!ret && c->start_when == REPLAY_NOW)
		replay_start(set->replay);
	return ret;
}

void recording_close(struct sensors *set)
{
	replay_close(set->replay);
	free(set->columns);
}
