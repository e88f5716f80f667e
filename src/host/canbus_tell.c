/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of the operator: looking at a bus, sending on it, and faults of it and its ports. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "host/canbus_priv.h"

#define SECOND	    UINT64_C(1000000000)
#define ERRORS_MAX  1000000u
#define BABBLE_MAX  100000u /* frames per second */
#define BUS_WORDS   "show, send FRAME, error N, short on|off, port NAME WORDS"
#define PORT_WORDS  "show, bus-off, error N, babble FRAME [PER-SECOND], quiet"
#define BABBLE_RATE "1000"

static const char *state_name(const struct canport *p)
{
	static const char *const names[] = { "error-active", "error-warning", "error-passive",
		"bus-off", "stopped" };

	return p->starting ? "recovering" : names[p->state];
}

/* A whole number from 1 to `max`. */
static int parse_count(const char *word, uint32_t max, uint32_t *value, struct err *e)
{
	char *end;
	unsigned long v = strtoul(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || !v || v > max)
		return err_set(e, -EINVAL, "'%.20s' is no number from 1 to %u", word, max);
	*value = (uint32_t)v;
	return 0;
}

static int parse_frame(
	const struct canbus *b, const char *word, struct canfd_frame *f, struct err *e)
{
	const char *end;
	int ret = can_frame_parse(word, &end, f, e);

	if (ret)
		return ret;
	if (*end || f->can_id & CAN_ERR_FLAG || (can_is_fd(f) && !b->config.fd))
		return err_set(e, -EINVAL, "'%.80s' cannot be sent on this bus", word);
	return 0;
}

static void show_port(const struct canport *p, FILE *answer)
{
	fprintf(answer, "%-24s %-14s %4u %4u %8u %10" PRIu64 " %10" PRIu64 " %7" PRIu64 "%s\n",
		p->name, state_name(p), p->tec, p->rec, p->nqueue, p->count.tx_frames,
		p->count.rx_frames, p->count.tx_errors, p->babble ? "  babbling" : "");
}

static void show_head(FILE *answer)
{
	fprintf(answer, "%-24s %-14s %4s %4s %8s %10s %10s %7s\n", "port", "state", "tec", "rec",
		"waiting", "sent", "received", "errors");
}

static int show(struct canbus *b, FILE *answer)
{
	canbus_count_load(b, canbus_now(b), 0);
	fprintf(answer,
		"%u bit/s, data %u bit/s; load %u %%, %" PRIu64 " frames, %" PRIu64 " errors%s%s\n",
		b->config.bitrate, b->config.data_bitrate, b->load, b->count.frames,
		b->count.errors, b->short_circuit ? "; short-circuited" : "",
		b->host && !b->host_up ? "; the host's interface is gone" : "");
	if (b->replay)
		fprintf(answer, "recording: frame %zu of %zu%s\n", replay_position(b->replay),
			replay_count(b->replay), b->replay_waits ? ", waits for the drivers" : "");
	show_head(answer);
	for (unsigned i = 0; i < b->nports; i++)
		show_port(b->ports[i], answer);
	return 0;
}

static int send_frame(struct canbus *b, const char *word, FILE *answer, struct err *e)
{
	struct canfd_frame f;
	int ret = parse_frame(b, word, &f, e);

	if (ret)
		return ret;
	ret = canport_send(b->operator_port, &f, NULL);
	if (ret)
		return err_set(e, ret, "the bus does not take it: %s",
			ret == -EAGAIN ? "too many frames are waiting" : "it is bus-off");
	fprintf(answer, "%s waits for the bus\n", word);
	return 0;
}

static int short_circuit(struct canbus *b, const char *word, FILE *answer, struct err *e)
{
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
		return err_set(e, -EINVAL, "short: '%.20s' is neither on nor off", word);
	b->short_circuit = !strcmp(word, "on");
	fprintf(answer, "%s\n",
		b->short_circuit ? "nothing gets through; who sends goes bus-off"
				 : "the bus works again");
	canbus_wake(b);
	return 0;
}

static int errors(uint32_t *left, const char *word, FILE *answer, struct err *e)
{
	int ret = parse_count(word, ERRORS_MAX, left, e);

	if (!ret)
		fprintf(answer, "the next %u transmissions are destroyed\n", *left);
	return ret;
}

int canbus_tell(struct canbus *b, unsigned argc, char *const *argv, FILE *answer, struct err *e)
{
	const char *word = argc ? argv[0] : "";

	if (!strcmp(word, "show") && argc == 1)
		return show(b, answer);
	if (!strcmp(word, "send") && argc == 2)
		return send_frame(b, argv[1], answer, e);
	if (!strcmp(word, "error") && argc == 2)
		return errors(&b->errors, argv[1], answer, e);
	if (!strcmp(word, "short") && argc == 2)
		return short_circuit(b, argv[1], answer, e);
	return err_set(
		e, -EINVAL, "'%.40s' is no command of a CAN bus; these are: " BUS_WORDS, word);
}

/* Ports. */

static int babble(
	struct canport *p, const char *frame, const char *rate, FILE *answer, struct err *e)
{
	struct pending noise = { .time_ns = canbus_now(p->bus) };
	uint32_t per_second = 1;
	int ret = parse_frame(p->bus, frame, &noise.frame, e);

	if (!ret)
		ret = parse_count(rate, BABBLE_MAX, &per_second, e);
	if (ret)
		return ret;
	p->noise = noise;
	p->babble_ns = SECOND / per_second;
	p->babble = true;
	canbus_wake(p->bus);
	fprintf(answer, "%s sends %s up to %u times per second, whatever its guest does\n", p->name,
		frame, per_second);
	return 0;
}

static int go_off(struct canport *p, FILE *answer, struct err *e)
{
	if (!canport_active(p))
		return err_set(e, -EINVAL, "%s is not on the bus: %s", p->name, state_name(p));
	p->tec = CAN_OFF;
	canport_go_off(p, "the operator wants it");
	fprintf(answer, "%s is bus-off until its driver starts it again\n", p->name);
	return 0;
}

static int quiet(struct canport *p, FILE *answer)
{
	struct canbus *b = p->bus;

	if (b->tx.port == p && b->tx.what == &p->noise)
		b->tx.port = NULL;
	p->babble = false;
	fprintf(answer, "%s sends only what its guest does\n", p->name);
	return 0;
}

int canport_tell(struct canport *p, unsigned argc, char *const *argv, FILE *answer, struct err *e)
{
	const char *word = argc ? argv[0] : "";

	if (!strcmp(word, "show") && argc == 1) {
		show_head(answer);
		show_port(p, answer);
		return 0;
	}
	if (!strcmp(word, "bus-off") && argc == 1)
		return go_off(p, answer, e);
	if (!strcmp(word, "error") && argc == 2)
		return errors(&p->errors, argv[1], answer, e);
	if (!strcmp(word, "babble") && (argc == 2 || argc == 3))
		return babble(p, argv[1], argc == 3 ? argv[2] : BABBLE_RATE, answer, e);
	if (!strcmp(word, "quiet") && argc == 1)
		return quiet(p, answer);
	return err_set(e, -EINVAL,
		"'%.40s' is no command of a CAN controller; these are: " PORT_WORDS, word);
}
