/* SPDX-License-Identifier: BSD-3-Clause */
/* avp scmi-platform as a process: agents of two VMs that share resources, one of them trusted. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "scmi/rig.h"

#define LONG_MS 10000
#define NONE_MS 60
#define OFF	(1u << 30)
#define AGENTS	2u
#define ARGS	32u

#define BASE	 SCMI_PROTOCOL_BASE
#define POWER	 SCMI_PROTOCOL_POWER
#define PERF	 SCMI_PROTOCOL_PERF
#define CLOCK	 SCMI_PROTOCOL_CLOCK
#define POWERCAP SCMI_PROTOCOL_POWERCAP
#define SYSTEM	 SCMI_PROTOCOL_SYSTEM

/* The two VMs. Both see the GPU's domain, each by another id. */
#define GATEWAY "name=gateway/scmi0,socket=%s,trusted=true,grants=*"
#define CLUSTER                                                                                    \
	"name=cluster/scmi0,socket=%s,grants=power:gpu,grants=clock:*=read,grants=perf,"           \
	"grants=powercap,grants=system,grants=clock:cam=write"

struct process {
	char dir[64];
	char path[AGENTS][96];
	pid_t pid;
	int control;
	struct scmi_rig agent[AGENTS];
};

#define GATE(p) (&(p)->agent[0])
#define CLUS(p) (&(p)->agent[1])

static bool hear(struct process *p, char *buf, size_t len)
{
	ssize_t n = recv(p->control, buf, len - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Waits for a message that has `text`. */
static bool hear_of(struct process *p, const char *text, char *buf, size_t len)
{
	while (hear(p, buf, len))
		if (strstr(buf, text))
			return true;
	return false;
}

static int run(char *const *argv, int control)
{
	fd_cloexec(control, 0);
	execv(argv[0], argv);
	return 127;
}

static bool start(struct process *p)
{
	char port[AGENTS][256], control[16];
	char *argv[ARGS] = { getenv("AVP"), (char *)"scmi-platform", (char *)"--power-domains",
		(char *)"camera", (char *)"--power-domains", (char *)"gpu", (char *)"--clocks",
		(char *)"cam rates=24000000/48000000", (char *)"--clocks", (char *)"uart rates=1/2",
		(char *)"--perf", (char *)"cpu levels=400/800/1200", (char *)"--powercaps",
		(char *)"soc caps=1000/15000/100", (char *)"--system-power", (char *)"true",
		(char *)"--devices", (char *)"camera clock:cam power:camera", (char *)"--port",
		port[0], (char *)"--port", port[1], (char *)"--control-fd", control, NULL };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	snprintf(port[0], sizeof(port[0]), GATEWAY, p->path[0]);
	snprintf(port[1], sizeof(port[1]), CLUSTER, p->path[1]);
	snprintf(control, sizeof(control), "%d", pair[1]);
	p->pid = fork();
	if (!p->pid)
		_exit(run(argv, pair[1]));
	close(pair[1]);
	p->control = pair[0];
	return p->pid > 0;
}

static bool open_process(struct tap *t, struct process *p)
{
	char msg[1024];

	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/tmp/avp-scmi-XXXXXX");
	if (!CHECK(t, mkdtemp(p->dir)))
		return false;
	for (unsigned i = 0; i < AGENTS; i++)
		snprintf(p->path[i], sizeof(p->path[i]), "%s/agent%u", p->dir, i);
	if (!CHECK(t, start(p)) || !CHECK(t, hear_of(p, "ready", msg, sizeof(msg))))
		return false;
	for (unsigned i = 0; i < AGENTS; i++) {
		p->agent[i].d = vhud_open(p->path[i]);
		if (!CHECK(t, p->agent[i].d))
			return false;
		rig_start(t, &p->agent[i], P2A, 4);
	}
	return true;
}

static void close_process(struct tap *t, struct process *p)
{
	int status = -1;

	for (unsigned i = 0; i < AGENTS; i++)
		vhud_close(p->agent[i].d);
	kill(p->pid, SIGTERM);
	waitpid(p->pid, &status, 0);
	CHECK(t, WIFEXITED(status) && !WEXITSTATUS(status));
	close(p->control);
	for (unsigned i = 0; i < AGENTS; i++)
		unlink(p->path[i]);
	rmdir(p->dir);
}

/* What the operator would say; the answer, or the error. */
static bool tell(struct process *p, const char *const *words, const char *answer)
{
	char msg[2048] = "tell";
	size_t len = 5;

	len += (size_t)snprintf(msg + len, sizeof(msg) - len, "7") + 1;
	for (; *words; words++)
		len += (size_t)snprintf(msg + len, sizeof(msg) - len, "%s", *words) + 1;
	if (send(p->control, msg, len, 0) != (ssize_t)len ||
		!hear_of(p, "\"told\"", msg, sizeof(msg)))
		return false;
	if (strstr(msg, answer))
		return true;
	printf("# %s\n", msg);
	return false;
}
#define TELL(p, answer, ...) tell((p), (const char *const[]){ __VA_ARGS__, NULL }, (answer))

static void each_sees_its_own(struct tap *t)
{
	struct process p;

	REQUIRE(t, open_process(t, &p));
	CHECK_EQ(t, CMD0(GATE(&p), BASE, SCMI_ATTRIBUTES), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], 5 | 3 << 8);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 7, 2), 0);
	CHECK(t, rig_text_is(GATE(&p)->ret + 1, "cluster"));
	CHECK_EQ(t, CMD(CLUS(&p), BASE, 7, SCMI_AGENT_SELF), 0);
	CHECK_EQ(t, CLUS(&p)->ret[0], 2);
	CHECK_EQ(t, CMD0(GATE(&p), POWER, SCMI_ATTRIBUTES), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], 2);
	CHECK_EQ(t, CMD0(CLUS(&p), POWER, SCMI_ATTRIBUTES), 0);
	CHECK_EQ(t, CLUS(&p)->ret[0], 1);
	CHECK_EQ(t, CMD(GATE(&p), POWER, 3, 1), 0);
	CHECK(t, rig_text_is(GATE(&p)->ret + 1, "gpu"));
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 3, 0), 0);
	CHECK(t, rig_text_is(CLUS(&p)->ret + 1, "gpu"));
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 3, 1), SCMI_NOT_FOUND);
	/* CLOCK_GET_PERMISSIONS: all of the camera's, nothing of the UART's. */
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 0xf, 0), 0);
	CHECK_EQ(t, CLUS(&p)->ret[0], 5u << 29);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 0xf, 1), 0);
	CHECK_EQ(t, CLUS(&p)->ret[0], 0);
	close_process(t, &p);
}

/* On while one of them wants it; the others hear of it under their ids. */
static void a_domain_is_shared(struct tap *t)
{
	struct process p;

	REQUIRE(t, open_process(t, &p));
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 6, 0, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 7, 0, 1), 0);
	CHECK_EQ(t, CMD(GATE(&p), POWER, 4, 0, 1, 0), 0);
	REQUIRE(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, POWER));
	CHECK(t, CLUS(&p)->event[0] == 1 && CLUS(&p)->event[1] == 0 && CLUS(&p)->event[2] == 0);
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 4, 0, 0, 0), 0);
	/* Off is asked for, and not done: the cluster keeps it on. */
	CHECK_EQ(t, CMD(GATE(&p), POWER, 4, 0, 1, OFF), 0);
	REQUIRE(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event_hdr, SCMI_HDR(1, SCMI_TYPE_NOTIFICATION, POWER));
	CHECK_EQ(t, CLUS(&p)->event[2], OFF);
	CHECK_EQ(t, CMD(GATE(&p), POWER, 5, 1), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], 0);
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 4, 0, 0, OFF), 0);
	CHECK_EQ(t, CMD(GATE(&p), POWER, 5, 1), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], OFF);
	/* A VM that is reset wants nothing any more. */
	CHECK_EQ(t, CMD(CLUS(&p), POWER, 4, 0, 0, 0), 0);
	CHECK_EQ(t, vhud_reset(CLUS(&p)->d), 0);
	CHECK_EQ(t, CMD(GATE(&p), POWER, 5, 1), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], OFF);
	close_process(t, &p);
}

static void limits_and_caps_are_shared(struct tap *t)
{
	struct process p;

	REQUIRE(t, open_process(t, &p));
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 9, 0, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 0xa, 0, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 7, 0, 1200), 0);
	CHECK(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CMD(GATE(&p), PERF, 5, 0, 800, 400), 0);
	REQUIRE(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, PERF));
	CHECK(t, CLUS(&p)->event[2] == 800 && CLUS(&p)->event[3] == 400);
	REQUIRE(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event_hdr, SCMI_HDR(1, SCMI_TYPE_NOTIFICATION, PERF));
	CHECK_EQ(t, CLUS(&p)->event[2], 800);
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 7, 0, 1200), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 5, 0, 1200, 800), 0);
	CHECK_EQ(t, CMD(CLUS(&p), PERF, 6, 0), 0);
	CHECK(t, CLUS(&p)->ret[0] == 800 && CLUS(&p)->ret[1] == 800);

	CHECK_EQ(t, CMD(GATE(&p), POWERCAP, 5, 0, 0, 9000), 0);
	CHECK_EQ(t, CMD(CLUS(&p), POWERCAP, 5, 0, 0, 5000), 0);
	CHECK_EQ(t, CMD(GATE(&p), POWERCAP, 4, 0), 0);
	CHECK_EQ(t, GATE(&p)->ret[0], 5000);
	/* One of them lifts its cap. */
	CHECK_EQ(t, CMD(CLUS(&p), POWERCAP, 5, 0, 0, 0), 0);
	CHECK_EQ(t, CMD(CLUS(&p), POWERCAP, 4, 0), 0);
	CHECK_EQ(t, CLUS(&p)->ret[0], 9000);
	close_process(t, &p);
}

static void a_trusted_agent_gives_and_takes(struct tap *t)
{
	char msg[1024];
	struct process p;

	REQUIRE(t, open_process(t, &p));
	CHECK_EQ(t, CMD(GATE(&p), BASE, 8, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 5, 0, 0, 48000000, 0), 0);
	CHECK_EQ(t, CMD(CLUS(&p), BASE, 9, 1, 0, 0), SCMI_DENIED);
	CHECK(t, rig_event(GATE(&p), LONG_MS));
	/* It takes the camera's clock away. */
	CHECK_EQ(t, CMD(GATE(&p), BASE, 10, 2, 0, CLOCK, 0), 0);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 5, 0, 0, 24000000, 0), SCMI_DENIED);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 6, 0), SCMI_DENIED);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 6, 1), 0);
	CHECK(t, hear_of(&p, "CLOCK_RATE_SET of cam", msg, sizeof(msg)));
	CHECK(t, strstr(msg, "\"event\":\"denied\"") && strstr(msg, "agent cluster"));
	/* It is told who tried what. */
	REQUIRE(t, rig_event(GATE(&p), LONG_MS));
	CHECK_EQ(t, GATE(&p)->event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, BASE));
	CHECK(t, GATE(&p)->event[0] == 2 && (int32_t)GATE(&p)->event[3] == SCMI_DENIED);
	/* And back, with the whole device, and to what the configuration says. */
	CHECK_EQ(t, CMD(GATE(&p), BASE, 9, 2, 0, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 5, 0, 0, 24000000, 0), 0);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 9, 2, 0, 0), 0);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 11, 2, 1), 0);
	CHECK_EQ(t, CMD(CLUS(&p), CLOCK, 5, 0, 0, 48000000, 0), 0);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 9, 3, 0, 1), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 9, 2, 1, 1), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 9, 2, 0, 2), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 10, 2, 0, BASE, 0), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 10, 2, 0, 0x99, 0), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(GATE(&p), BASE, 11, 9, 0), SCMI_NOT_FOUND);
	close_process(t, &p);
}

static void the_operator_shuts_down(struct tap *t)
{
	char msg[1024];
	struct process p;

	REQUIRE(t, open_process(t, &p));
	CHECK(t, TELL(&p, "nobody listens", "shutdown"));
	CHECK_EQ(t, CMD(CLUS(&p), SYSTEM, 5, 1), 0);
	CHECK(t, TELL(&p, "told cluster", "shutdown", "graceful", "30s"));
	REQUIRE(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event_hdr, SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SYSTEM));
	CHECK_EQ(t, CLUS(&p)->event_n, 4);
	CHECK(t, CLUS(&p)->event[0] == 0 && CLUS(&p)->event[1] == 1 && CLUS(&p)->event[2] == 0 &&
			 CLUS(&p)->event[3] == 30000);
	/* Of one VM's device: that one alone. */
	CHECK(t, TELL(&p, "nobody listens", "port", "gateway/scmi0", "reboot"));
	CHECK(t, TELL(&p, "told cluster", "port", "cluster/scmi0", "reboot", "graceful"));
	CHECK(t, rig_event(CLUS(&p), LONG_MS));
	CHECK_EQ(t, CLUS(&p)->event[2], 1);
	CHECK(t, TELL(&p, "is neither", "shutdown", "now"));
	CHECK(t, TELL(&p, "power gpu state=on", "power", "gpu", "on"));
	/* An agent asks: the operator and the others hear of it. */
	CHECK_EQ(t, CMD(GATE(&p), SYSTEM, 3, 1, 2), 0);
	CHECK(t, rig_event(CLUS(&p), LONG_MS));
	CHECK(t, CLUS(&p)->event[0] == 1 && CLUS(&p)->event[2] == 2);
	CHECK(t, hear_of(&p, "system-power", msg, sizeof(msg)));
	CHECK(t, strstr(msg, "agent gateway asks for graceful warm-reset"));
	CHECK_EQ(t, CMD(GATE(&p), SYSTEM, 3, 0, 3), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(GATE(&p), SYSTEM, 3, 0, UINT32_MAX), SCMI_NOT_SUPPORTED);
	CHECK(t, !rig_event(CLUS(&p), NONE_MS));
	close_process(t, &p);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, each_sees_its_own);
	TAP_RUN(&t, a_domain_is_shared);
	TAP_RUN(&t, limits_and_caps_are_shared);
	TAP_RUN(&t, a_trusted_agent_gives_and_takes);
	TAP_RUN(&t, the_operator_shuts_down);
	return tap_done(&t);
}
