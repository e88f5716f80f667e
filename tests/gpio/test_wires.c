/* SPDX-License-Identifier: BSD-3-Clause */
/* Wires between GPIO lines: what nets read as, their trace, their script, the operator. */
#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "host/vcd.h"
#include "host/wires.h"
#include "tap.h"

struct rig {
	struct ev_loop *loop;
	struct log log;
	struct wires_config config;
	struct wires_host host;
	struct wires *w;
	char dir[40], trace[64], script[64];
	unsigned events;
	char event[32], detail[200];
};

/* An end that counts. */
struct end {
	struct wire_end end;
	unsigned changes;
	bool level;
};

static void on_changed(struct wire_end *end, bool level)
{
	struct end *e = container_of(end, struct end, end);

	e->changes++;
	e->level = level;
}

static void on_event(void *arg, const char *event, const char *detail)
{
	struct rig *r = arg;

	r->events++;
	snprintf(r->event, sizeof(r->event), "%s", event);
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
}

static void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	strcpy(r->dir, "/tmp/avp-wires-XXXXXX");
	if (!mkdtemp(r->dir) || ev_loop_create(&r->loop))
		exit(1);
	snprintf(r->trace, sizeof(r->trace), "%s/t.vcd", r->dir);
	snprintf(r->script, sizeof(r->script), "%s/script", r->dir);
	log_init(&r->log, STDERR_FILENO, "wires");
	opt_defaults(wires_opts, &r->config, NULL);
	r->host = (struct wires_host){ .arg = r, .event = on_event };
}

static int create(struct rig *r, struct err *e)
{
	return wires_create(&r->w, "panel", &r->config, &r->host, r->loop, &r->log, e);
}

static void rig_open(struct tap *t, struct rig *r, const char *nets)
{
	struct err e = { 0 };

	rig_init(r);
	CHECK_EQ(t, opt_set(wires_opts, &r->config, "nets", nets, &e), 0);
	if (!CHECK_EQ(t, create(r, &e), 0))
		printf("# %s\n", e.msg);
}

static void rig_close(struct rig *r)
{
	wires_destroy(r->w);
	opt_free(wires_opts, &r->config);
	unlink(r->trace);
	unlink(r->script);
	rmdir(r->dir);
	ev_loop_destroy(r->loop);
}

static struct wire *net(struct tap *t, struct rig *r, const char *name)
{
	struct wire *wire = NULL;

	CHECK_EQ(t, wires_find(r->w, name, &wire, NULL), 0);
	return wire;
}

static void attach(struct wire *wire, struct end *e, const char *name)
{
	*e = (struct end){ .end = { .name = name, .changed = on_changed } };
	wire_attach(wire, &e->end);
}

static void reads_what_is_driven(struct tap *t)
{
	struct rig r;
	struct end a, b, c;
	struct wire *wire;

	rig_open(t, &r, "door");
	wire = net(t, &r, "door");
	attach(wire, &a, "a");
	attach(wire, &b, "b");
	attach(wire, &c, "c");
	CHECK(t, !wire_level(wire));
	wire_drive(&a.end, WIRE_HIGH);
	CHECK(t, wire_level(wire));
	CHECK(t, b.changes == 1 && b.level && c.changes == 1 && a.changes == 1);
	/* No change, nobody is told. */
	wire_drive(&a.end, WIRE_HIGH);
	wire_drive(&b.end, WIRE_HIGH);
	CHECK_EQ(t, c.changes, 1);
	wire_drive(&a.end, WIRE_Z);
	CHECK(t, wire_level(wire));
	/* The last one that drives goes away. */
	wire_detach(&b.end);
	wire_detach(&b.end);
	CHECK(t, !wire_level(wire));
	CHECK(t, c.changes == 2 && !c.level);
	CHECK_EQ(t, b.changes, 1);
	CHECK_EQ(t, wires_counters(r.w)->changes, 2);
	CHECK_EQ(t, r.events, 0);
	wire_detach(&a.end);
	wire_detach(&c.end);
	rig_close(&r);
}

static void pulls(struct tap *t)
{
	struct rig r;
	struct end a;

	rig_open(t, &r, "up pull=up,down pull=down,bus float,one =1,zero pull=up =0");
	CHECK(t, wire_level(net(t, &r, "up")));
	CHECK(t, !wire_level(net(t, &r, "down")));
	CHECK(t, !wire_level(net(t, &r, "bus")));
	CHECK(t, wire_level(net(t, &r, "one")));
	CHECK(t, !wire_level(net(t, &r, "zero")));
	/* A net that floats keeps what it had. */
	attach(net(t, &r, "bus"), &a, "a");
	wire_drive(&a.end, WIRE_HIGH);
	wire_drive(&a.end, WIRE_Z);
	CHECK(t, wire_level(net(t, &r, "bus")));
	wire_drive(&a.end, WIRE_LOW);
	wire_drive(&a.end, WIRE_Z);
	CHECK(t, !wire_level(net(t, &r, "bus")));
	CHECK_EQ(t, a.changes, 2);
	wire_set(net(t, &r, "zero"), WIRE_Z);
	CHECK(t, wire_level(net(t, &r, "zero")));
	wire_detach(&a.end);
	rig_close(&r);
}

static void conflicts(struct tap *t)
{
	struct rig r;
	struct end a, b;
	struct wire *wire;

	rig_open(t, &r, "lamp");
	wire = net(t, &r, "lamp");
	attach(wire, &a, "ivi/gpio0 lamp");
	attach(wire, &b, "body/gpio0 lamp");
	wire_drive(&a.end, WIRE_HIGH);
	wire_drive(&b.end, WIRE_LOW);
	CHECK(t, !wire_level(wire));
	CHECK_EQ(t, r.events, 1);
	CHECK(t, !strcmp(r.event, "wire-conflict"));
	CHECK(t,
		!strcmp(r.detail, "net lamp: ivi/gpio0 lamp drives 1, body/gpio0 lamp drives 0, so "
				  "it reads 0"));
	wire_drive(&b.end, WIRE_Z);
	CHECK(t, wire_level(wire));
	/* Whoever does it all the time is counted, not logged. */
	for (unsigned i = 0; i < 100; i++) {
		wire_drive(&b.end, WIRE_LOW);
		wire_drive(&b.end, WIRE_Z);
	}
	CHECK(t, r.events < 10);
	CHECK_EQ(t, wires_counters(r.w)->conflicts, 101);
	wire_detach(&a.end);
	wire_detach(&b.end);
	rig_close(&r);
}

static void stuck(struct tap *t)
{
	struct rig r;
	struct end a;
	struct wire *wire;

	rig_open(t, &r, "door");
	wire = net(t, &r, "door");
	attach(wire, &a, "a");
	wire_stick(wire, WIRE_HIGH);
	CHECK(t, wire_level(wire) && a.changes == 1);
	wire_drive(&a.end, WIRE_LOW);
	CHECK(t, wire_level(wire) && a.changes == 1);
	wire_stick(wire, WIRE_Z);
	CHECK(t, !wire_level(wire) && a.changes == 2);
	wire_detach(&a.end);
	rig_close(&r);
}

/* The words of a command; the answer or the reason of the refusal in `out`. */
static int tell(struct rig *r, const char *text, char *out, size_t size)
{
	char copy[100], *argv[8], *save = NULL;
	struct err e = { 0 };
	unsigned argc = 0;
	FILE *f;
	int ret;

	memset(out, 0, size);
	f = fmemopen(out, size, "w");
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w && argc < 8; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	ret = wires_command(r->w, argc, argv, f, &e);
	fclose(f);
	if (ret)
		snprintf(out, size, "%.500s", e.msg);
	return ret;
}

static void operator(struct tap *t)
{
	struct rig r;
	char out[600];

	rig_open(t, &r, "door,reset pull=up,bus float");
	CHECK_EQ(t, tell(&r, "get", out, sizeof(out)), 0);
	CHECK(t, !strcmp(out, "door 0 pulled down\nreset 1 pulled up\nbus 0 floats\n"));
	CHECK_EQ(t, tell(&r, "set door 1", out, sizeof(out)), 0);
	CHECK_EQ(t, tell(&r, "get door", out, sizeof(out)), 0);
	CHECK(t, !strcmp(out, "door 1 driven by the operator: 1\n"));
	CHECK_EQ(t, tell(&r, "stuck door 0", out, sizeof(out)), 0);
	CHECK_EQ(t, tell(&r, "get door", out, sizeof(out)), 0);
	CHECK(t, !strcmp(out, "door 0 stuck driven by the operator: 1\n"));
	CHECK_EQ(t, tell(&r, "stuck door off", out, sizeof(out)), 0);
	CHECK_EQ(t, tell(&r, "set door z", out, sizeof(out)), 0);
	CHECK(t, !wire_level(net(t, &r, "door")));

	CHECK_EQ(t, tell(&r, "set dor 1", out, sizeof(out)), -EINVAL);
	CHECK(t, strstr(out, "did you mean 'door'?"));
	CHECK_EQ(t, tell(&r, "set door 2", out, sizeof(out)), -EINVAL);
	CHECK_EQ(t, tell(&r, "set door off", out, sizeof(out)), -EINVAL);
	CHECK_EQ(t, tell(&r, "set door", out, sizeof(out)), -EINVAL);
	CHECK_EQ(t, tell(&r, "get door now", out, sizeof(out)), -EINVAL);
	CHECK_EQ(t, tell(&r, "open door", out, sizeof(out)), -EINVAL);
	CHECK(t, strstr(out, "set NET 0|1|z"));
	CHECK_EQ(t, tell(&r, "replay start", out, sizeof(out)), -EINVAL);
	rig_close(&r);
}

static void refused(struct tap *t)
{
	static const char *const bad[] = { "", "a,a", "a pull=left", "a =2", "a=b", "b\x01",
		"0123456789012345678901234567890123456789012345678901234567890123" };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		struct rig r;

		rig_init(&r);
		if (*bad[i]) {
			opt_set(wires_opts, &r.config, "nets", bad[i], NULL);
		} else {
			r.config.nets.v = calloc(1, sizeof(char *));
			r.config.nets.v[0] = strdup(" ");
			r.config.nets.n = 1;
		}
		if (!CHECK_EQ(t, create(&r, &e), -EINVAL))
			printf("# '%s'\n", bad[i]);
		CHECK(t, *e.msg);
		rig_close(&r);
	}
}

static void read_file(const char *path, char *buf, size_t size)
{
	autofclose FILE *f = fopen(path, "re");
	size_t n = f ? fread(buf, 1, size - 1, f) : 0;

	buf[n] = 0;
}

static void write_file(const char *path, const char *text)
{
	autofclose FILE *f = fopen(path, "we");

	if (f)
		fputs(text, f);
}

static void traces(struct tap *t)
{
	struct rig r;
	struct end a, b;
	struct wire *wire;
	char text[2000], *at;

	rig_init(&r);
	r.config.trace = strdup(r.trace);
	opt_set(wires_opts, &r.config, "nets", "door,bus float", NULL);
	REQUIRE(t, !create(&r, NULL));
	CHECK_EQ(t, wires_add_net(r.w, "dash lamp", WIRE_PULL_UP, WIRE_Z, NULL, NULL), 0);
	wire = net(t, &r, "door");
	attach(wire, &a, "a");
	attach(wire, &b, "b");
	CHECK_EQ(t, wires_start(r.w, NULL), 0);
	usleep(1000);
	wire_drive(&a.end, WIRE_HIGH);
	usleep(1000);
	wire_drive(&b.end, WIRE_LOW);
	wire_detach(&a.end);
	wire_detach(&b.end);
	wires_destroy(r.w);
	r.w = NULL;
	read_file(r.trace, text, sizeof(text));
	CHECK(t, strstr(text, "$timescale 1 ns $end\n$scope module panel $end\n"
			      "$var wire 1 ! door $end\n$var wire 1 \" bus $end\n"
			      "$var wire 1 # dash_lamp $end\n$upscope $end\n"
			      "$enddefinitions $end\n#0\n"));
	CHECK(t, strstr(text, "\n0!\nz\"\n1#\n"));
	at = strstr(text, "\n1!\n");
	CHECK(t, at && strstr(at, "\nx!\n"));
	CHECK(t, at && strstr(at, "\n0!\n"));
	rig_close(&r);
}

static void trace_ends_at_its_limit(struct tap *t)
{
	struct vcd *v;
	char dir[] = "/tmp/avp-vcd-XXXXXX", path[64], text[8192];

	REQUIRE(t, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/t.vcd", dir);
	REQUIRE(t, !vcd_open(&v, path, "top", 4096, NULL));
	vcd_variable(v, "a");
	vcd_begin(v, 100);
	CHECK_EQ(t, vcd_flush(v), 0);
	for (unsigned i = 0; i < 10000; i++)
		vcd_change(v, 0, i & 1 ? '1' : '0', 200 + i);
	CHECK_EQ(t, vcd_flush(v), -EFBIG);
	CHECK_EQ(t, vcd_flush(v), 0);
	vcd_close(v);
	read_file(path, text, sizeof(text));
	CHECK(t, strlen(text) <= 4096 && strlen(text) > 4000);
	CHECK(t, strstr(text, "\n#100\n0!\n#101\n1!\n"));
	CHECK_EQ(t, text[strlen(text) - 1], '\n');
	CHECK(t, vcd_open(&v, dir, "top", 4096, NULL) < 0);
	unlink(path);
	rmdir(dir);
}

static void wait_for_level(struct rig *r, struct wire *wire, bool level)
{
	for (unsigned i = 0; i < 500 && wire_level(wire) != level; i++)
		ev_run_once(r->loop, 20);
}

static void scripts(struct tap *t)
{
	struct wires_guest one = { 0 }, two = { 0 };
	struct rig r;
	struct wire *wire, *lamp;
	char out[600];

	rig_init(&r);
	write_file(r.script, "# opens\n1.00 door 1\n\n1.01 dash lamp 1 # shines\n1.02\tdoor\tz\n");
	r.config.replay.file = strdup(r.script);
	opt_set(wires_opts, &r.config, "nets", "door", NULL);
	REQUIRE(t, !create(&r, NULL));
	CHECK_EQ(t, wires_add_net(r.w, "dash lamp", WIRE_PULL_DOWN, WIRE_Z, &lamp, NULL), 0);
	wires_add_guest(r.w, &one);
	wires_add_guest(r.w, &two);
	REQUIRE(t, !wires_start(r.w, NULL));
	wire = net(t, &r, "door");
	/* It waits for both guests. */
	wires_guest_up(&one, true);
	ev_run_once(r.loop, 20);
	CHECK(t, !wire_level(wire));
	CHECK_EQ(t, tell(&r, "replay", out, sizeof(out)), 0);
	CHECK(t, !strcmp(out, "stopped, line 0 of 3\n"));
	wires_guest_up(&two, true);
	wait_for_level(&r, wire, true);
	CHECK(t, wire_level(wire));
	wait_for_level(&r, lamp, true);
	CHECK(t, wire_level(lamp));
	wait_for_level(&r, wire, false);
	CHECK(t, !wire_level(wire));
	/* A guest that comes again does not start it again, the operator does. */
	wires_guest_up(&two, false);
	wires_guest_up(&two, true);
	ev_run_once(r.loop, 20);
	CHECK(t, !wire_level(wire));
	CHECK_EQ(t, tell(&r, "replay start", out, sizeof(out)), 0);
	wait_for_level(&r, wire, true);
	CHECK(t, wire_level(wire));
	CHECK_EQ(t, tell(&r, "replay stop", out, sizeof(out)), 0);
	CHECK_EQ(t, tell(&r, "replay rewind", out, sizeof(out)), -EINVAL);
	wires_remove_guest(&one);
	wires_remove_guest(&two);
	rig_close(&r);
}

static void scripts_refused(struct tap *t)
{
	static const char *const bad[] = { "1 door\n", "door 1\n", "1 door 2\n", "1 window 1\n",
		"1x door 1\n", "1\n", "-1 door 0\n" };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		struct rig r;

		rig_init(&r);
		write_file(r.script, bad[i]);
		r.config.replay.file = strdup(r.script);
		opt_set(wires_opts, &r.config, "nets", "door", NULL);
		CHECK_EQ(t, create(&r, NULL), 0);
		if (!CHECK(t, wires_start(r.w, &e) == -EINVAL))
			printf("# '%s'\n", bad[i]);
		CHECK(t, strstr(e.msg, r.script));
		rig_close(&r);
	}
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, reads_what_is_driven);
	TAP_RUN(&t, pulls);
	TAP_RUN(&t, conflicts);
	TAP_RUN(&t, stuck);
	TAP_RUN(&t, operator);
	TAP_RUN(&t, refused);
	TAP_RUN(&t, traces);
	TAP_RUN(&t, trace_ends_at_its_limit);
	TAP_RUN(&t, scripts);
	TAP_RUN(&t, scripts_refused);
	return tap_done(&t);
}
