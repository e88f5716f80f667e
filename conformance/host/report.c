/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports: collects the verdicts and hands them to each form. */
#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/report_priv.h"
#include "conformance/host/spec.h"

static const char *const verdict_names[] = { "pass", "fail", "skip" };
static const char *const rings_names[] = { "-", "split", "packed" };

const char *report_verdict_name(enum cf_verdict v)
{
	return verdict_names[v];
}

const char *report_rings_name(enum report_rings rings)
{
	return rings_names[rings];
}

bool report_verdict(const char *name, enum cf_verdict *v)
{
	for (unsigned i = 0; i < ARRAY_LEN(verdict_names); i++) {
		if (strcmp(name, verdict_names[i]) != 0)
			continue;
		*v = (enum cf_verdict)i;
		return true;
	}
	return false;
}

bool report_rings(const char *name, enum report_rings *rings)
{
	for (unsigned i = 0; i < ARRAY_LEN(rings_names); i++) {
		if (strcmp(name, rings_names[i]) != 0)
			continue;
		*rings = (enum report_rings)i;
		return true;
	}
	return false;
}

const char *report_proves(const char *name)
{
	for (unsigned t = 0; cf_case_tables[t]; t++)
		for (const struct cf_case *k = cf_case_tables[t]; k->name; k++)
			if (!strcmp(k->name, name))
				return k->proves;
	return "";
}

/* Files. */

static int open_file(FILE **f, const char *path, struct err *e)
{
	if (!path)
		return 0;
	*f = strcmp(path, "-") != 0 ? fopen(path, "we") : stdout;
	return *f ? 0 : err_sys(e, -errno, "writing the report '%s'", path);
}

static int close_file(FILE **f, struct err *e)
{
	FILE *file = *f;
	int ret;

	*f = NULL;
	if (!file)
		return 0;
	ret = ferror(file) ? -EIO : 0;
	if (file == stdout ? fflush(file) : fclose(file))
		ret = -errno;
	return ret ? err_sys(e, ret, "writing a report") : 0;
}

static bool is_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

int report_open(struct report **out, const struct report_opts *o, struct err *e)
{
	const char *const paths[] = { o->tap, o->junit, o->html, o->json };
	struct report *r;
	unsigned here = 0;
	int ret = 0;

	for (unsigned i = 0; i < REPORT_FORMS; i++)
		here += is_stdout(paths[i]);
	if (here > 1)
		return err_set(e, -EINVAL, "only one report can go to standard output");
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, -ENOMEM, "no memory for a report");
	r->text = !here;
	r->start_ns = ev_now_ns();
	for (unsigned i = 0; !ret && i < REPORT_FORMS; i++)
		ret = open_file(&r->file[i], paths[i], e);
	if (ret) {
		for (unsigned i = 0; i < REPORT_FORMS; i++)
			close_file(&r->file[i], NULL);
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

/* Verdicts. */

static void free_result(struct report_result *v)
{
	free((char *)v->target);
	free((char *)v->transport);
	free((char *)v->name);
	free((char *)v->proves);
	free((char *)v->evidence);
}

/* Bytes of the UTF-8 character *v at p; 0 if there is none, or one that XML does not allow. */
static unsigned utf8_read(const unsigned char *p, uint32_t *character)
{
	unsigned len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t v = len == 1 ? p[0] : p[0] & (0x7fu >> len);

	*character = v;
	if (len < 2)
		return len;
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if ((len == 3 && v < 0x800) || (len == 4 && v < 0x10000) || v > 0x10ffff)
		return 0;
	*character = v;
	return (v >= 0xd800 && v < 0xe000) || (v & 0xfffe) == 0xfffe ? 0 : len;
}

/* What a terminal or a browser obeys instead of showing it: control characters, ends of lines, and
 * what hides text or turns its direction. */
static bool is_command(uint32_t v)
{
	return v < 0x20 || (v >= 0x7f && v < 0xa0) || (v >= 0x200b && v <= 0x200f) ||
	       (v >= 0x2028 && v <= 0x202e) || (v >= 0x2060 && v <= 0x206f) || v == 0xfeff;
}

void report_clean(char *text)
{
	unsigned len;
	uint32_t v;

	for (char *p = text; *p; p += len ? len : 1) {
		len = utf8_read((unsigned char *)p, &v);
		if (!len)
			*p = '?';
		else if (is_command(v))
			memset(p, ' ', len);
	}
}

static char *clean_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy)
		report_clean(copy);
	return copy;
}

void report_write_escaped(const char *text, FILE *f)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc(*text, f);
		}
	}
}

static bool copy_result(struct report_result *to, const struct report_result *from)
{
	*to = *from;
	to->target = clean_copy(from->target);
	to->transport = clean_copy(from->transport);
	to->name = clean_copy(from->name);
	to->proves = clean_copy(from->proves);
	to->evidence = clean_copy(from->evidence);
	if (to->target && to->transport && to->name && to->proves && to->evidence)
		return true;
	free_result(to);
	return false;
}

static bool room_for_one(struct report *r)
{
	unsigned room = r->room ? 2 * r->room : 256;
	struct report_result *v;

	if (r->n < r->room)
		return true;
	v = reallocarray(r->v, room, sizeof(*v));
	if (!v)
		return false;
	r->v = v;
	r->room = room;
	return true;
}

/* Frees `line`. At once: what is known of a run that breaks off is in the file. */
static void write_line(struct report *r, char *line)
{
	r->lost |= !line;
	fputs(line ? line : "", r->file[REPORT_JSON]);
	fflush(r->file[REPORT_JSON]);
	free(line);
}

void report_add(struct report *r, const struct report_result *result)
{
	const struct report_result *v;

	if (!room_for_one(r) || !copy_result(&r->v[r->n], result)) {
		r->lost = true;
		return;
	}
	v = &r->v[r->n++];
	if (r->file[REPORT_TAP])
		report_tap_result(r->file[REPORT_TAP], r->n, v);
	if (r->file[REPORT_JSON])
		write_line(r, report_to_json(v));
}

void report_broken(struct report *r, const char *target, const char *why)
{
	const struct report_result v = {
		.target = target,
		.transport = "-",
		.name = "run.complete",
		.proves = "",
		.verdict = CF_FAIL,
		.evidence = why,
	};

	report_add(r, &v);
}

struct report_counts report_count(const struct report *r)
{
	struct report_counts c = { .n = { 0 } };

	for (unsigned i = 0; i < r->n; i++)
		c.n[r->v[i].verdict]++;
	return c;
}

static void write_ends(struct report *r)
{
	r->ns = ev_now_ns() - r->start_ns;
	if (r->text)
		report_write_text(r, stdout);
	if (r->file[REPORT_TAP])
		fprintf(r->file[REPORT_TAP], "1..%u\n", r->n);
	if (r->file[REPORT_JUNIT])
		report_write_junit(r, r->file[REPORT_JUNIT]);
	if (r->file[REPORT_HTML])
		report_write_html(r, r->file[REPORT_HTML]);
	if (r->file[REPORT_JSON])
		write_line(r, report_end_to_json(r));
}

int report_close(struct report *r, unsigned *failed, struct err *e)
{
	int ret;

	/* Nothing that failed is no success if there was nothing. */
	if (!r->n)
		report_broken(r, "run", "no case was run");
	write_ends(r);
	*failed = report_count(r).n[CF_FAIL];
	ret = r->lost ? err_set(e, -ENOMEM, "no memory for all verdicts") : 0;
	for (unsigned i = 0; i < REPORT_FORMS; i++) {
		int closed = close_file(&r->file[i], ret ? NULL : e);

		ret = ret ? ret : closed;
	}
	for (unsigned i = 0; i < r->n; i++)
		free_result(&r->v[i]);
	free(r->v);
	free(r);
	return ret;
}

/* Requirements. */

bool report_next_id(const char **proves, char id[32])
{
	const char *p = *proves + strspn(*proves, " ");
	size_t len = strcspn(p, " ");

	*proves = p + len;
	snprintf(id, 32, "%.*s", (int)min_u64(len, 31), p);
	return len;
}

static void claim(struct report_requirement *q, const struct report_result *v)
{
	q->counts.n[v->verdict]++;
	q->ns += v->ns;
	if (!q->first[v->verdict])
		q->first[v->verdict] = v;
}

struct report_requirement *report_requirements(const struct report *r)
{
	struct report_requirement *all = calloc(spec_count + 1, sizeof(*all));
	char id[32];

	if (!all)
		return NULL;
	for (unsigned i = 0; i < spec_count; i++)
		all[i].entry = &spec_entries[i];
	for (unsigned i = 0; i < r->n; i++) {
		const char *proves = r->v[i].proves;

		while (report_next_id(&proves, id)) {
			const struct spec_entry *entry = spec_find(id);

			if (entry)
				claim(&all[entry - spec_entries], &r->v[i]);
		}
	}
	return all;
}

bool report_judged(const struct report_requirement *q)
{
	return q->counts.n[CF_PASS] + q->counts.n[CF_FAIL] + q->counts.n[CF_SKIP];
}

enum cf_verdict report_requirement_verdict(const struct report_requirement *q)
{
	return q->counts.n[CF_FAIL] ? CF_FAIL : q->counts.n[CF_PASS] ? CF_PASS : CF_SKIP;
}
