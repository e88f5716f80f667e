/* SPDX-License-Identifier: BSD-3-Clause */
/* Resource groups: what the host has, what a VM gets of it, and the groups themselves. */
#include "system/resctrl.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

#define DOMAINS_MAX 64u
#define TEXT_MAX    4096u

enum { L2, L3, MB, NRESOURCES };

/* One line of schemata. */
struct resource {
	const char *key, *name,
		*absent; /* in the system file; in schemata; with other mount options */
	bool present;
	unsigned domains[DOMAINS_MAX];
	unsigned ndomains;
	/* A cache. */
	uint64_t mask; /* all ways */
	unsigned min_bits;
	bool sparse;		     /* masks may have holes */
	unsigned taken[DOMAINS_MAX]; /* ways given away as shares, from the top */
	/* Bandwidth. */
	uint64_t min, max;
};

struct resctrl_group {
	struct resctrl_group *next;
	char *path;
	int tasks;
};

struct resctrl {
	char *path;
	struct resource resources[NRESOURCES];
	struct resctrl_group *list;
};

/* What the file says for some domains. */
struct wish {
	bool all; /* one value for all domains */
	bool percent[DOMAINS_MAX];
	uint64_t value[DOMAINS_MAX];
	unsigned domain[DOMAINS_MAX];
	unsigned n;
};

static const char *text_of(const struct resctrl_limits *l, unsigned resource)
{
	return resource == L2 ? l->l2 : resource == L3 ? l->l3 : l->mb;
}

bool resctrl_wanted(const struct resctrl_limits *l)
{
	return l->l2 || l->l3 || l->mb;
}

static const char *const keys[NRESOURCES] = { "l2", "l3", "mb" };

/* One "VALUE" or "VALUE%"; the position after it, or NULL. */
static const char *parse_value(const char *p, bool cache, struct wish *w)
{
	size_t digits = strspn(p, "0123456789");
	bool percent = digits && p[digits] == '%';
	char *end;

	if (!isxdigit((unsigned char)*p))
		return NULL;
	errno = 0;
	w->value[w->n] = strtoull(p, &end, cache && !percent ? 16 : 10);
	w->percent[w->n] = percent;
	if (errno)
		return NULL;
	return percent ? end + 1 : end;
}

static int parse_wish(const char *text, bool cache, struct wish *w)
{
	const char *p = text;

	*w = (struct wish){ .all = !strchr(text, '=') };
	for (w->n = 0; w->n < DOMAINS_MAX; p++) {
		if (!w->all) {
			char *end;

			if (!isdigit((unsigned char)*p))
				return -EINVAL;
			w->domain[w->n] = (unsigned)strtoul(p, &end, 10);
			if (*end != '=')
				return -EINVAL;
			p = end + 1;
		}
		p = parse_value(p, cache, w);
		if (!p || (w->percent[w->n] && (!w->value[w->n] || w->value[w->n] > 100)))
			return -EINVAL;
		w->n++;
		if (!*p)
			return 0;
		if (*p != ';' || w->all)
			return -EINVAL;
	}
	return -EINVAL;
}

int resctrl_limits_check(const struct resctrl_limits *limits, const char **key, struct err *e)
{
	struct wish w;

	for (unsigned i = 0; i < NRESOURCES; i++) {
		const char *text = text_of(limits, i);

		*key = keys[i];
		if (text && parse_wish(text, i != MB, &w))
			return err_set(e, -EINVAL, "%s: '%.64s' is no %s", keys[i], text,
				i == MB ? "bandwidth, as in 40, or 0=40;1=80 by domain"
					: "share or mask of the cache, as in 50%, ff0, or "
					  "0=ff0;1=f by domain");
	}
	return 0;
}

/* A small file below the resctrl folder. */
static int read_file(const struct resctrl *r, const char *name, char *buf, size_t len)
{
	autofree char *path = NULL;
	autoclose int fd = -1;
	ssize_t n;

	if (asprintf(&path, "%s/%s", r->path, name) < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, len - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

static int read_info(
	const struct resctrl *r, const char *resource, const char *file, int base, uint64_t *value)
{
	char name[64], text[64], *end;
	int rc;

	snprintf(name, sizeof(name), "info/%s/%s", resource, file);
	rc = read_file(r, name, text, sizeof(text));
	if (rc)
		return rc;
	errno = 0;
	*value = strtoull(text, &end, base);
	return errno || end == text ? -EPROTO : 0;
}

/* "  L3:0=fffff;1=fffff": the domains, and the largest value. */
static int parse_domains(struct resource *res, const char *line)
{
	for (const char *p = line; *p && *p != '\n'; p++) {
		char *end;
		unsigned long id = strtoul(p, &end, 10);
		uint64_t value;

		if (end == p || *end != '=' || res->ndomains == DOMAINS_MAX)
			return -EPROTO;
		res->domains[res->ndomains++] = (unsigned)id;
		p = end + 1;
		value = strtoull(p, &end, res->mask ? 16 : 10);
		if (end == p)
			return -EPROTO;
		res->max = max_u64(res->max, value);
		p = end;
		if (*p != ';')
			return 0;
	}
	return -EPROTO;
}

/* The line of a resource in schemata, after its colon. */
static const char *find_line(const char *schemata, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = schemata; p; p = strchr(p, '\n')) {
		p += strspn(p, " \n");
		if (!strncmp(p, name, len) && p[len] == ':')
			return p + len + 1;
	}
	return NULL;
}

static int read_resource(const struct resctrl *r, struct resource *res, const char *schemata)
{
	uint64_t bits = 1, sparse = 0;
	const char *line = find_line(schemata, res->name);
	bool cache = res != &r->resources[MB];
	int rc = 0;

	if (!line)
		return 0;
	if (cache)
		rc = read_info(r, res->name, "cbm_mask", 16, &res->mask);
	if (!rc && cache)
		rc = read_info(r, res->name, "min_cbm_bits", 10, &bits);
	if (!rc && !cache)
		rc = read_info(r, res->name, "min_bandwidth", 10, &res->min);
	if (rc || (cache && !res->mask))
		return rc ? rc : -EPROTO;
	/* Newer kernels say whether holes are allowed; where they say nothing, they are not. */
	if (cache && !read_info(r, res->name, "sparse_masks", 10, &sparse))
		res->sparse = sparse != 0;
	res->min_bits = (unsigned)min_u64(bits, 64);
	res->present = true;
	return parse_domains(res, line);
}

int resctrl_open(struct resctrl **out, const char *path, struct err *e)
{
	struct resctrl *r = calloc(1, sizeof(*r));
	char schemata[TEXT_MAX];
	int rc;

	if (!path)
		path = getenv(RESCTRL_ENV);
	if (r)
		r->path = strdup(path ? path : RESCTRL_PATH);
	if (!r || !r->path) {
		free(r);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->resources[L2] = (struct resource){ .key = "l2", .name = "L2" };
	r->resources[L3] = (struct resource){ .key = "l3", .name = "L3" };
	r->resources[MB] = (struct resource){ .key = "mb", .name = "MB" };
	rc = read_file(r, "schemata", schemata, sizeof(schemata));
	if (rc)
		err_set(e, rc,
			"no resource control at %s (its processor must have RDT, QoS or MPAM, and "
			"its kernel resctrl: mount -t resctrl none " RESCTRL_PATH ")",
			r->path);
	for (unsigned i = 0; !rc && i < NRESOURCES; i++) {
		rc = read_resource(r, &r->resources[i], schemata);
		if (rc)
			err_sys(e, rc, "cannot make sense of %s/info/%s", r->path,
				r->resources[i].name);
	}
	if (rc) {
		resctrl_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

static unsigned count_bits(uint64_t mask)
{
	return (unsigned)__builtin_popcountll(mask);
}

static bool has_holes(uint64_t mask)
{
	uint64_t low = mask >> __builtin_ctzll(mask);

	return low & (low + 1);
}

static int check_mask(const struct resource *res, uint64_t mask, struct err *e)
{
	if (!mask || mask & ~res->mask)
		return err_set(e, -EINVAL,
			"%s: mask %" PRIx64 " is not within %" PRIx64 ", the ways of this cache",
			res->key, mask, res->mask);
	if (count_bits(mask) < res->min_bits)
		return err_set(e, -EINVAL, "%s: mask %" PRIx64 " has %u bits; this cache needs %u",
			res->key, mask, count_bits(mask), res->min_bits);
	if (!res->sparse && has_holes(mask))
		return err_set(e, -EINVAL,
			"%s: the bits of mask %" PRIx64 " must be side by side on this host",
			res->key, mask);
	return 0;
}

/* The next ways below those that are taken already. */
static int take_share(
	struct resource *res, unsigned domain, uint64_t percent, uint64_t *mask, struct err *e)
{
	unsigned ways = count_bits(res->mask);
	unsigned want = (unsigned)((ways * percent + 50) / 100);

	if (want < res->min_bits)
		want = res->min_bits;
	if (want > ways - res->taken[domain])
		return err_set(e, -ENOSPC,
			"%s: %" PRIu64 "%% are %u of %u ways of cache %u, but only %u are not "
			"given to other VMs yet",
			res->key, percent, want, ways, res->domains[domain],
			ways - res->taken[domain]);
	res->taken[domain] += want;
	*mask = ((UINT64_C(2) << (want - 1)) - 1) << (ways - res->taken[domain]);
	return 0;
}

static int value_for(struct resource *res, const struct wish *w, unsigned item, unsigned domain,
	uint64_t *value, struct err *e)
{
	*value = w->value[item];
	if (!res->mask) {
		if (*value < res->min || *value > res->max)
			return err_set(e, -EINVAL,
				"mb: %" PRIu64 " is not from %" PRIu64 " to %" PRIu64
				", as this host counts bandwidth",
				*value, res->min, res->max);
		return 0;
	}
	if (w->percent[item])
		return take_share(res, domain, *value, value, e);
	return check_mask(res, *value, e);
}

static int find_domain(const struct resource *res, unsigned id)
{
	for (unsigned i = 0; i < res->ndomains; i++)
		if (res->domains[i] == id)
			return (int)i;
	return -1;
}

/* "L3:0=ff0;1=ff0\n" */
static int plan_resource(struct resource *res, const struct wish *w, FILE *f, struct err *e)
{
	unsigned n = w->all ? res->ndomains : w->n;

	fprintf(f, "%s:", res->name);
	for (unsigned i = 0; i < n; i++) {
		int d = w->all ? (int)i : find_domain(res, w->domain[i]);
		uint64_t value;
		int rc;

		if (d < 0)
			return err_set(e, -EINVAL, "%s: there is no domain %u; see %s in schemata",
				res->key, w->domain[i], res->name);
		rc = value_for(res, w, w->all ? 0 : i, (unsigned)d, &value, e);
		if (rc)
			return rc;
		fprintf(f, res->mask ? "%s%u=%" PRIx64 : "%s%u=%" PRIu64, i ? ";" : "",
			res->domains[d], value);
	}
	fputc('\n', f);
	return 0;
}

static int plan_all(struct resctrl *r, const struct resctrl_limits *limits, FILE *f, struct err *e)
{
	for (unsigned i = 0; i < NRESOURCES; i++) {
		struct resource *res = &r->resources[i];
		const char *text = text_of(limits, i);
		struct wish w;
		int rc;

		if (!text)
			continue;
		if (!res->present)
			return err_set(e, -ENOTSUP,
				"%s: this host cannot divide %s (%s/info has no %s)", res->key,
				i == MB ? "memory bandwidth" : "this cache", r->path, res->name);
		rc = parse_wish(text, i != MB, &w);
		if (rc)
			return err_set(e, rc, "%s: cannot read '%.64s'", res->key, text);
		rc = plan_resource(res, &w, f, e);
		if (rc)
			return rc;
	}
	return 0;
}

int resctrl_plan(struct resctrl *r, const struct resctrl_limits *limits, char *schemata, size_t len,
	struct err *e)
{
	struct resource before[NRESOURCES];
	FILE *f = fmemopen(schemata, len, "w");
	int rc;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	memcpy(before, r->resources, sizeof(before));
	rc = plan_all(r, limits, f, e);
	if (fclose(f) && !rc)
		rc = err_set(e, -ENOSPC, "schemata of more than %zu bytes", len);
	if (rc)
		memcpy(r->resources, before, sizeof(before));
	return rc;
}

/* The kernel's files vanish with their group and cannot be unlinked; those of a copy can. */
static void remove_group(const char *path)
{
	static const char *const files[] = { "schemata", "tasks" };

	for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *file = NULL;

		if (asprintf(&file, "%s/%s", path, files[i]) >= 0)
			unlink(file);
	}
	rmdir(path);
}

void resctrl_clean(const struct resctrl *r, const char *system)
{
	autofree char *prefix = NULL;
	struct dirent *entry;
	DIR *dir = opendir(r->path);

	if (asprintf(&prefix, "avp.%s.", system) < 0)
		prefix = NULL;
	while (dir && prefix && (entry = readdir(dir))) {
		autofree char *path = NULL;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (asprintf(&path, "%s/%s", r->path, entry->d_name) >= 0)
			remove_group(path);
	}
	if (dir)
		closedir(dir);
}

/* What the kernel says about the last write, "" if nothing. */
static void last_status(const struct resctrl *r, char *buf, size_t len)
{
	if (read_file(r, "info/last_cmd_status", buf, len) || !strncmp(buf, "ok", 2))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static int write_schemata(
	const struct resctrl *r, const char *group, const char *schemata, struct err *e)
{
	autofree char *path = NULL;
	autoclose int fd = -1;
	char status[256];
	int rc;

	if (asprintf(&path, "%s/schemata", group) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	rc = fd < 0 ? -errno : fd_write_full(fd, schemata, strlen(schemata));
	if (!rc)
		return 0;
	last_status(r, status, sizeof(status));
	return err_sys(e, rc, "cannot write '%.*s' to %s%s%s%s", (int)strcspn(schemata, "\n"),
		schemata, path, *status ? " (" : "", status, *status ? ")" : "");
}

static int open_group(
	const struct resctrl *r, struct resctrl_group *g, const char *schemata, struct err *e)
{
	autofree char *tasks = NULL;
	int rc;

	if (mkdir(g->path, 0755))
		return err_sys(e, -errno, "cannot create the resource group %s%s", g->path,
			errno == ENOSPC ? " (num_closids is how many the hardware has)" : "");
	rc = write_schemata(r, g->path, schemata, e);
	if (!rc && asprintf(&tasks, "%s/tasks", g->path) < 0)
		rc = err_set(e, -ENOMEM, "out of memory");
	if (!rc)
		g->tasks = open(tasks, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (!rc && g->tasks < 0)
		rc = err_sys(e, -errno, "cannot open %s", tasks);
	if (rc)
		remove_group(g->path);
	return rc;
}

int resctrl_add(struct resctrl *r, const char *system, const char *vm, const char *schemata,
	struct resctrl_group **out, struct err *e)
{
	struct resctrl_group *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->tasks = -1;
	if (asprintf(&g->path, "%s/avp.%s.%s", r->path, system, vm) < 0)
		g->path = NULL;
	rc = g->path ? open_group(r, g, schemata, e) : err_set(e, -ENOMEM, "out of memory");
	if (rc) {
		free(g->path);
		free(g);
		return rc;
	}
	g->next = r->list;
	r->list = g;
	*out = g;
	return 0;
}

int resctrl_join_fd(const struct resctrl_group *g)
{
	return g->tasks;
}

void resctrl_close(struct resctrl *r)
{
	if (!r)
		return;
	while (r->list) {
		struct resctrl_group *g = r->list;

		r->list = g->next;
		close_fd(&g->tasks);
		remove_group(g->path);
		free(g->path);
		free(g);
	}
	free(r->path);
	free(r);
}
