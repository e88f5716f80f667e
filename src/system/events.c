/* SPDX-License-Identifier: BSD-3-Clause */
/* The event log. */
#include "system/events.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "system/jsonl.h"
#include "system/logfile.h"
#include "system/supervisor_priv.h"

#define FILE_MAX	 (512u << 10)
#define ANSWER_BYTES_MAX (JSONL_OUT_MAX / 2)
#define FIELDS_MAX	 16 /* of what a process says */
#define TEXT_MAX	 512u
#define BURST_MAX	 20 /* events per second that a process may cause by its messages */
#define TIME_LEN	 40u

struct events {
	struct supervisor *s;
	struct logfile file;
	struct log_limit complaints;
};

/* RFC 3339 in UTC: such texts sort by time. */
static void wall_clock(char text[static TIME_LEN])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, TIME_LEN - n, ".%09ldZ", now.tv_nsec);
}

cJSON *event_text(cJSON *fields, const char *key, const char *value)
{
	if (!fields)
		fields = cJSON_CreateObject();
	cJSON_AddStringToObject(fields, key, value);
	return fields;
}

cJSON *event_number(cJSON *fields, const char *key, double value)
{
	if (!fields)
		fields = cJSON_CreateObject();
	cJSON_AddNumberToObject(fields, key, value);
	return fields;
}

/* Moves the members of `fields` behind those of `event`. */
static void add_fields(cJSON *event, cJSON *fields)
{
	while (fields && fields->child) {
		cJSON *item = cJSON_DetachItemViaPointer(fields, fields->child);

		if (cJSON_HasObjectItem(event, item->string))
			cJSON_Delete(item);
		else
			cJSON_AddItemToObject(event, item->string, item);
	}
	cJSON_Delete(fields);
}

static int write_line(struct events *ev, const cJSON *event)
{
	char *text = cJSON_PrintUnformatted(event), *line = NULL;
	int n = text ? asprintf(&line, "%s\n", text) : -1, r;

	cJSON_free(text);
	if (n < 0)
		return -ENOMEM;
	r = (unsigned)n < LOGFILE_LINE_MAX ? logfile_write(&ev->file, line, (size_t)n) : -EMSGSIZE;
	free(line);
	return r;
}

void supervisor_event(struct supervisor *s, const char *name, const char *what, cJSON *fields)
{
	cJSON *event = cJSON_CreateObject();
	char text[TIME_LEN];
	int r;

	wall_clock(text);
	cJSON_AddStringToObject(event, "time", text);
	cJSON_AddNumberToObject(event, "mono_ns", (double)ev_now_ns());
	if (name)
		cJSON_AddStringToObject(event, "name", name);
	cJSON_AddStringToObject(event, "event", what);
	add_fields(event, fields);
	r = s->events ? write_line(s->events, event) : 0;
	if (r && log_allowed(&s->events->complaints, 1))
		log_warn(&s->log, "event '%s' is not in the event log: %s", what, strerror(-r));
	control_event(s->control, event);
	cJSON_Delete(event);
}

void events_unit(struct unit *u)
{
	const char *state = unit_state_name(u);
	cJSON *fields;

	if (u->told_state && !strcmp(state, u->told_state))
		return;
	u->told_state = state;
	fields = event_text(NULL, "state", state);
	if (u->state == UNIT_STARTING)
		event_number(fields, "starts", u->starts);
	if (u->state == UNIT_STARTING && u->proc.pid)
		event_number(fields, "pid", u->proc.pid);
	if (u->state == UNIT_RUNNING && unit_is_vm(u))
		event_number(fields, "boot_us", (double)u->boot_us);
	if (u->has_ended && u->state != UNIT_STARTING && u->state != UNIT_RUNNING &&
		u->state != UNIT_STOPPING) {
		event_number(fields, "exit", u->exit_status);
		event_number(fields, "failures", u->failures);
	}
	supervisor_event(u->s, u->plan->name, "state", fields);
}

/* Answers, and what events_unit() records. */
static bool is_passed_over(const char *what)
{
	static const char *const words[] = { "ready", "running", "stats", "status", "told" };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(what, words[i]))
			return true;
	return false;
}

/* The plain members of a message. */
static cJSON *plain_fields(const cJSON *msg)
{
	cJSON *fields = cJSON_CreateObject();
	const cJSON *item;
	int n = 0;

	cJSON_ArrayForEach(item, msg)
	{
		bool plain = cJSON_IsNumber(item) || cJSON_IsBool(item) ||
			     (cJSON_IsString(item) && strlen(item->valuestring) <= TEXT_MAX);

		if (plain && item->string && strlen(item->string) <= CONF_NAME_MAX &&
			n++ < FIELDS_MAX)
			cJSON_AddItemToObject(fields, item->string, cJSON_Duplicate(item, true));
	}
	return fields;
}

void events_message(struct unit *u, const cJSON *msg)
{
	const char *what = jsonl_str(msg, "event");

	if (!what || strlen(what) > CONF_NAME_MAX || is_passed_over(what) ||
		!log_allowed(&u->event_limit, BURST_MAX))
		return;
	supervisor_event(u->s, u->plan->name, what, plain_fields(msg));
}

bool events_is_of(const cJSON *event, const char *name)
{
	const char *of = jsonl_str(event, "name");
	size_t len = name ? strlen(name) : 0;

	return !name || (of && !strncmp(of, name, len) && (!of[len] || of[len] == '/'));
}

/* Reading: what has been found so far. */
struct found {
	const struct events_filter *filter;
	cJSON *list;
	unsigned n;
	size_t bytes, max_bytes;
};

/* The oldest give way to the newest. */
static void drop_oldest(struct found *found)
{
	char *text = cJSON_PrintUnformatted(found->list->child);

	found->bytes -= text ? min_u64(strlen(text), found->bytes) : 0;
	cJSON_free(text);
	cJSON_DeleteItemFromArray(found->list, 0);
	found->n--;
}

static void find_event(void *arg, const char *line)
{
	struct found *found = arg;
	cJSON *event = cJSON_Parse(line);
	const char *when = event ? jsonl_str(event, "time") : NULL;

	/* The file may be the user's, and may have been cut. */
	if (!when || (found->filter->since && strcmp(when, found->filter->since) < 0) ||
		!events_is_of(event, found->filter->name)) {
		cJSON_Delete(event);
		return;
	}
	cJSON_AddItemToArray(found->list, event);
	found->n++;
	found->bytes += strlen(line);
	while (found->n > found->filter->max || found->bytes > found->max_bytes)
		drop_oldest(found);
}

static cJSON *find_all(const char *path, const struct events_filter *f, size_t max_bytes)
{
	struct found found = { .filter = f, .list = cJSON_CreateArray(), .max_bytes = max_bytes };

	if (found.list)
		logfile_read(path, find_event, &found);
	return found.list;
}

cJSON *events_read_file(const char *path, const struct events_filter *f)
{
	return find_all(path, f, SIZE_MAX);
}

cJSON *events_read(const struct events *ev, const struct events_filter *f)
{
	return find_all(ev->file.path, f, ANSWER_BYTES_MAX);
}

int events_open(struct events **out, struct supervisor *s, struct err *e)
{
	struct events *ev = calloc(1, sizeof(*ev));
	const char *kept = s->conf->event_log;
	autofree char *path = NULL;
	int r;

	if (!ev || (kept ? asprintf(&path, "%s", kept)
			 : asprintf(&path, "%s/" EVENTS_FILE, s->run_dir)) < 0) {
		path = NULL;
		free(ev);
		return err_set(e, -ENOMEM, "out of memory");
	}
	ev->s = s;
	r = logfile_open(&ev->file, path, FILE_MAX, kept, e);
	if (r) {
		free(ev);
		return r;
	}
	*out = ev;
	return 0;
}

void events_close(struct events *ev)
{
	if (!ev)
		return;
	logfile_close(&ev->file);
	free(ev);
}
