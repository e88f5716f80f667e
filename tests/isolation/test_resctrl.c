/* SPDX-License-Identifier: BSD-3-Clause */
/* Shares of cache and bandwidth, against a folder that looks like a host's resctrl. */
#include "system/resctrl.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

struct host {
	char path[64];
};

static void put(const struct host *h, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", h->path, name);
	f = fopen(path, "we");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void folder(const struct host *h, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", h->path, name);
	mkdir(path, 0755);
}

/* Two sockets with 20 ways of L3 each, bandwidth in steps of 10 percent; no L2. */
static void make_host(struct host *h)
{
	snprintf(h->path, sizeof(h->path), "/tmp/avp-resctrl-XXXXXX");
	if (!mkdtemp(h->path))
		return;
	folder(h, "info");
	folder(h, "info/L3");
	folder(h, "info/MB");
	put(h, "info/L3/num_closids", "16\n");
	put(h, "info/L3/cbm_mask", "fffff\n");
	put(h, "info/L3/min_cbm_bits", "2\n");
	put(h, "info/MB/num_closids", "8\n");
	put(h, "info/MB/min_bandwidth", "10\n");
	put(h, "info/MB/bandwidth_gran", "10\n");
	put(h, "info/last_cmd_status", "ok\n");
	put(h, "schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	return remove(path);
}

static void remove_host(const struct host *h)
{
	nftw(h->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static bool same(const char *got, const char *want)
{
	return got && !strcmp(got, want);
}

/* What one VM's wishes become; NULL if they are refused. */
static const char *plan(struct resctrl *r, char *l3, char *mb, char *buf, struct err *e)
{
	struct resctrl_limits l = { .l3 = l3, .mb = mb };

	*e = (struct err){ 0 };
	return resctrl_plan(r, &l, buf, 256, e) ? NULL : buf;
}

#define PLAN(l3, mb) plan(r, (char *)(uintptr_t)(l3), (char *)(uintptr_t)(mb), buf, &e)

static void test_plan(struct tap *t)
{
	struct resctrl *r = NULL;
	struct err e = { 0 };
	struct host h;
	char buf[256];

	make_host(&h);
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), 0);
	REQUIRE(t, r != NULL);
	CHECK(t, same(PLAN("ff0", NULL), "L3:0=ff0;1=ff0\n"));
	CHECK(t, same(PLAN("0xff0", "40"), "L3:0=ff0;1=ff0\nMB:0=40;1=40\n"));
	CHECK(t, same(PLAN("1=3", "0=10;1=100%"), "L3:1=3\nMB:0=10;1=100\n"));
	/* Shares are side by side, from the top. */
	CHECK(t, same(PLAN("50%", NULL), "L3:0=ffc00;1=ffc00\n"));
	CHECK(t, same(PLAN("1=25%", NULL), "L3:1=3e0\n"));
	CHECK(t, same(PLAN("1%", NULL), "L3:0=300;1=18\n")); /* the least: 2 ways */
	CHECK(t, !PLAN("50%", NULL));
	CHECK(t, strstr(e.msg, "10 of 20 ways of cache 0, but only 8") != NULL);
	/* What was refused has taken nothing. */
	CHECK(t, same(PLAN("0=40%", NULL), "L3:0=ff\n"));
	resctrl_close(r);
	remove_host(&h);
}

static void test_refused(struct tap *t)
{
	static const struct {
		const char *l3, *mb, *says;
	} cases[] = {
		{ "100000", NULL, "mask 100000 is not within fffff" },
		{ "0", NULL, "mask 0 is not within" },
		{ "1", NULL, "1 bits; this cache needs 2" },
		{ "f0f", NULL, "must be side by side" },
		{ "7=f", NULL, "no domain 7" },
		{ NULL, "5", "5 is not from 10 to 100" },
		{ NULL, "101", "101 is not from 10 to 100" },
	};
	struct resctrl_limits l2 = { .l2 = (char[]){ "f" } };
	struct resctrl *r = NULL;
	struct err e = { 0 };
	struct host h;
	char buf[256];

	make_host(&h);
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), 0);
	REQUIRE(t, r != NULL);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK(t, !PLAN(cases[i].l3, cases[i].mb));
		if (!CHECK(t, strstr(e.msg, cases[i].says) != NULL))
			printf("# %s\n", e.msg);
	}
	CHECK_EQ(t, resctrl_plan(r, &l2, buf, sizeof(buf), &e), -ENOTSUP);
	CHECK(t, strstr(e.msg, "has no L2") != NULL);
	resctrl_close(r);
	/* Where the hardware allows holes. */
	put(&h, "info/L3/sparse_masks", "1\n");
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), 0);
	CHECK(t, same(PLAN("f0f", NULL), "L3:0=f0f;1=f0f\n"));
	resctrl_close(r);
	remove_host(&h);
}

static void test_hosts(struct tap *t)
{
	struct resctrl *r = NULL;
	struct err e = { 0 };
	struct host h;

	CHECK_EQ(t, resctrl_open(&r, "/nonexistent", &e), -ENOENT);
	CHECK(t, strstr(e.msg, "no resource control at /nonexistent") != NULL);
	make_host(&h);
	put(&h, "schemata", "L3:0=fffff;1\n");
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), -EPROTO);
	put(&h, "schemata", "L3:\n");
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), -EPROTO);
	put(&h, "schemata", "L3:0=fffff\n");
	put(&h, "info/L3/cbm_mask", "zero\n");
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), -EPROTO);
	CHECK(t, strstr(e.msg, "info/L3") != NULL);
	remove_host(&h);
}

static void test_syntax(struct tap *t)
{
	static const char *const good[] = { "50%", "ff", "0xff", "0=ff", "0=50%;1=ff", "100%" };
	static const char *const bad[] = { "", "0%", "101%", "xyz", "-1", "0=", "0=ff;", "=ff",
		"ff;ff", "0=ff 1=ff", "fffffffffffffffff", "50%%" };
	struct resctrl_limits l = { 0 };
	const char *key = NULL;
	struct err e = { 0 };

	CHECK(t, !resctrl_wanted(&l));
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		l.l3 = (char *)(uintptr_t)good[i];
		CHECK(t, resctrl_wanted(&l));
		CHECK_EQ(t, resctrl_limits_check(&l, &key, &e), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		l.l3 = (char *)(uintptr_t)bad[i];
		if (!CHECK_EQ(t, resctrl_limits_check(&l, &key, &e), -EINVAL))
			printf("# '%s'\n", bad[i]);
		CHECK(t, key && !strcmp(key, "l3"));
	}
}

static bool file_is(const struct host *h, const char *name, const char *text)
{
	char path[256], have[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", h->path, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	have[fread(have, 1, sizeof(have) - 1, f)] = '\0';
	fclose(f);
	return !strcmp(have, text);
}

static bool is_there(const struct host *h, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", h->path, name);
	return access(path, F_OK) == 0;
}

static void test_groups(struct tap *t)
{
	struct resctrl_group *g = NULL;
	struct resctrl *r = NULL;
	struct err e = { 0 };
	struct host h;

	make_host(&h);
	folder(&h, "avp.cockpit.gone"); /* of a killed predecessor */
	folder(&h, "avp.cockpit2.ivi");
	CHECK_EQ(t, resctrl_open(&r, h.path, &e), 0);
	REQUIRE(t, r != NULL);
	resctrl_clean(r, "cockpit");
	CHECK(t, !is_there(&h, "avp.cockpit.gone") && is_there(&h, "avp.cockpit2.ivi"));
	CHECK_EQ(t, resctrl_add(r, "cockpit", "ivi", "L3:0=f;1=f\n", &g, &e), 0);
	REQUIRE(t, g != NULL);
	CHECK(t, file_is(&h, "avp.cockpit.ivi/schemata", "L3:0=f;1=f\n"));
	CHECK_EQ(t, write(resctrl_join_fd(g), "0", 1), 1);
	CHECK(t, file_is(&h, "avp.cockpit.ivi/tasks", "0"));
	/* Somebody else's group of that name is not taken over. */
	CHECK_EQ(t, resctrl_add(r, "cockpit", "ivi", "L3:0=f;1=f\n", &g, &e), -EEXIST);
	resctrl_close(r);
	CHECK(t, !is_there(&h, "avp.cockpit.ivi"));
	remove_host(&h);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_plan);
	TAP_RUN(&t, test_refused);
	TAP_RUN(&t, test_hosts);
	TAP_RUN(&t, test_syntax);
	TAP_RUN(&t, test_groups);
	return tap_done(&t);
}
