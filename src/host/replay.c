/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/replay.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"

#define NS_PER_S  UINT64_C(1000000000)
#define SPEED_MIN 1u
#define SPEED_MAX (1000u * REPLAY_SPEED_ONE)
/* So that even at the least speed no time overflows. */
#define REPLAY_LENGTH_MAX_NS (100 * 86400 * NS_PER_S)
#define FIRST_ROOM	     256u
#define RECORD_UNIT	     8u /* alignment of records */
/* Records played before other work of the loop gets a turn. */
#define TURN_MAX 256u
/* The least time from the last record to the first one of the next round. */
#define LOOP_GAP_MIN_NS UINT64_C(1000000)

struct replay {
	const struct replay_ops *ops;
	void *arg;
	const struct log *log;
	char *path;
	uint64_t *times; /* nanoseconds since the first record */
	char *records;
	size_t stride, n, room;
	uint64_t first_ns; /* the recording's own time of the first record */
	uint32_t speed;
	bool loop;

	struct ev_timer timer;
	uint64_t start_ns; /* CLOCK_MONOTONIC of the first record of this round */
	size_t next;
	bool playing;
};

const char *const replay_when_words[] = { "ready", "now", NULL };

int replay_parse_seconds(const char *text, const char **end, uint64_t *ns)
{
	uint64_t s = 0, fraction = 0, unit = NS_PER_S / 10;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		s = s * 10 + (uint64_t)(*text - '0');
		if (s >= UINT64_MAX / NS_PER_S)
			return -EINVAL;
	}
	if (*text == '.' && isdigit((unsigned char)text[1])) {
		for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
			fraction += (uint64_t)(*text - '0') * unit;
	}
	*ns = s * NS_PER_S + fraction;
	*end = text;
	return 0;
}

int replay_parse_speed(const char *text, uint32_t *speed, struct err *e)
{
	uint64_t ns = NS_PER_S, factor = 0;
	const char *end = "";

	if (!text || (!replay_parse_seconds(text, &end, &ns) && !*end))
		factor = ns / (NS_PER_S / REPLAY_SPEED_ONE);
	if (factor < SPEED_MIN || factor > SPEED_MAX)
		return err_set(e, -EINVAL,
			"the replay's speed '%s' is not a factor from 0.001 to 1000", text);
	*speed = (uint32_t)factor;
	return 0;
}

static char *record_at(const struct replay *r, size_t i)
{
	return r->records + i * r->stride;
}

/* Room for one more record. */
static int grow(struct replay *r, struct err *e)
{
	size_t room = r->room ? 2 * r->room : FIRST_ROOM;
	uint64_t *times;
	char *records;

	if (r->n < r->room)
		return 0;
	if (r->n >= REPLAY_RECORDS_MAX || room * r->stride > REPLAY_MEMORY_MAX)
		return err_set(e, -EFBIG, "too many records, %zu fit; split the recording", r->n);
	times = reallocarray(r->times, room, sizeof(*times));
	if (!times)
		return err_set(e, -ENOMEM, "out of memory for %zu records", room);
	r->times = times;
	records = reallocarray(r->records, room, r->stride);
	if (!records)
		return err_set(e, -ENOMEM, "out of memory for %zu records", room);
	r->records = records;
	r->room = room;
	return 0;
}

static int add_record(struct replay *r, uint64_t time_ns, struct err *e)
{
	uint64_t last;

	if (!r->n)
		r->first_ns = time_ns;
	last = r->first_ns + (r->n ? r->times[r->n - 1] : 0);
	if (time_ns < last)
		return err_set(e, -EINVAL,
			"the time goes back from %llu.%09llu s to %llu.%09llu s; sort the "
			"recording by time",
			(unsigned long long)(last / NS_PER_S),
			(unsigned long long)(last % NS_PER_S),
			(unsigned long long)(time_ns / NS_PER_S),
			(unsigned long long)(time_ns % NS_PER_S));
	if (time_ns - r->first_ns > REPLAY_LENGTH_MAX_NS)
		return err_set(e, -EINVAL, "it is more than 100 days after the first record");
	r->times[r->n++] = time_ns - r->first_ns;
	return 0;
}

static int read_line(struct replay *r, char *line, unsigned number, struct err *e)
{
	uint64_t time_ns = 0;
	int ret = grow(r, e);

	if (ret)
		return ret;
	memset(record_at(r, r->n), 0, r->stride);
	ret = r->ops->parse(r->arg, line, number, record_at(r, r->n), &time_ns, e);
	return ret > 0 ? add_record(r, time_ns, e) : ret;
}

/* Removes the newline, and a carriage return before it. -EINVAL if the line did not fit. */
static int trim(char *line, size_t size, bool last, struct err *e)
{
	size_t len = strlen(line);

	if (len && line[len - 1] == '\n')
		line[--len] = 0;
	else if (!last)
		return err_set(
			e, -EINVAL, "the line has more than %zu bytes or a NUL byte", size - 2);
	if (len && line[len - 1] == '\r')
		line[len - 1] = 0;
	return 0;
}

static int read_lines(struct replay *r, FILE *f, struct err *e)
{
	char line[REPLAY_LINE_MAX + 2];

	for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
		int ret = trim(line, sizeof(line), feof(f), e);

		if (!ret)
			ret = read_line(r, line, number, e);
		if (ret < 0)
			return err_prefix(e, "%s:%u", r->path, number);
	}
	if (ferror(f))
		return err_sys(e, -EIO, "reading the recording %s", r->path);
	if (!r->n)
		return err_set(e, -EINVAL, "the recording %s has nothing to replay", r->path);
	return 0;
}

static int read_file(struct replay *r, struct err *e)
{
	autoclose int fd = open(r->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	autofclose FILE *f = NULL;
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "opening the recording %s", r->path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "examining the recording %s", r->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the recording %s is not a regular file", r->path);
	if ((uint64_t)st.st_size > REPLAY_FILE_MAX)
		return err_set(e, -EFBIG,
			"the recording %s has %llu bytes; at most %llu can be replayed", r->path,
			(unsigned long long)st.st_size, (unsigned long long)REPLAY_FILE_MAX);
	f = fdopen(fd, "re");
	if (!f)
		return err_sys(e, -errno, "opening the recording %s", r->path);
	steal_fd(&fd);
	return read_lines(r, f, e);
}

/* Nanoseconds of a round from its start to record i, at the speed of this replay; i may be one
 * beyond the last: there the next round begins, as far behind as records are apart on average. */
static uint64_t due_ns(const struct replay *r, size_t i)
{
	uint64_t length = replay_length_ns(r), at;

	if (i < r->n)
		at = r->times[i];
	else
		at = length + (r->n > 1 ? length / (r->n - 1) : NS_PER_S);
	at = (uint64_t)((unsigned __int128)at * REPLAY_SPEED_ONE / r->speed);
	return i < r->n ? at : max_u64(at, due_ns(r, r->n - 1) + LOOP_GAP_MIN_NS);
}

/* After the last record. */
static void finish_round(struct replay *r)
{
	if (r->loop) {
		r->start_ns += due_ns(r, r->n);
		r->next = 0;
		return;
	}
	r->playing = false;
	if (r->ops->ended)
		r->ops->ended(r->arg);
}

static void play(void *arg)
{
	struct replay *r = arg;
	uint64_t now = ev_now_ns(), at;

	for (unsigned i = 0; i < TURN_MAX; i++) {
		size_t now_playing = r->next;

		if (r->start_ns + due_ns(r, now_playing) > now)
			break;
		r->next++;
		r->ops->due(r->arg, record_at(r, now_playing));
		if (r->playing && r->next == r->n)
			finish_round(r);
		if (!r->playing)
			return;
	}
	now = ev_now_ns();
	at = r->start_ns + due_ns(r, r->next);
	ev_timer_set(&r->timer, at > now ? at - now : 0);
}

void replay_start(struct replay *r)
{
	r->next = 0;
	r->start_ns = ev_now_ns();
	r->playing = true;
	ev_timer_set(&r->timer, 0);
}

void replay_stop(struct replay *r)
{
	r->playing = false;
	ev_timer_stop(&r->timer);
}

bool replay_playing(const struct replay *r)
{
	return r->playing;
}

size_t replay_count(const struct replay *r)
{
	return r->n;
}

size_t replay_position(const struct replay *r)
{
	return r->next;
}

uint64_t replay_length_ns(const struct replay *r)
{
	return r->times[r->n - 1];
}

int replay_open(struct replay **out, const struct replay_config *c, const struct replay_ops *ops,
	void *arg, struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct replay *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory for the recording %s", c->file);
	ev_timer_init(loop, &r->timer, play, r);
	*r = (struct replay){
		.ops = ops,
		.arg = arg,
		.log = log,
		.timer = r->timer,
		.loop = c->loop,
		.stride = align_up(max_u64(ops->record_size, 1), RECORD_UNIT),
		.path = strdup(c->file),
	};
	ret = r->path ? replay_parse_speed(c->speed, &r->speed, e)
		      : err_set(e, -ENOMEM, "out of memory for the recording %s", c->file);
	if (!ret)
		ret = read_file(r, e);
	if (ret) {
		replay_close(r);
		return ret;
	}
	log_debug(log, "recording %s: %zu records", r->path, r->n);
	*out = r;
	return 0;
}

void replay_close(struct replay *r)
{
	if (!r)
		return;
	ev_timer_stop(&r->timer);
	free(r->records);
	free(r->times);
	free(r->path);
	free(r);
}
