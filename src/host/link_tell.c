/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator may say to a serial link: look at it, and put faults on it. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/link_priv.h"

static void show(const struct link *link, FILE *f)
{
	const struct link_counters *c = &link->count;

	fprintf(f,
		"%u baud, a byte takes %" PRIu64 " us; %" PRIu64 " bytes, %" PRIu64
		" collisions, %" PRIu64 " dropped, %" PRIu64 " corrupted\n",
		link->config->line.baud, link->char_ns / 1000, c->bytes, c->collisions, c->dropped,
		c->corrupted);
	for (unsigned i = 0; i < link->nends; i++) {
		const struct link_end *end = &link->ends[i];

		fprintf(f, "%-20s sent %" PRIu64 ", heard %" PRIu64 ", lost %" PRIu64 "%s\n",
			end->name, end->count.sent, end->count.heard, end->count.lost,
			end->cut ? ", cut off" : "");
	}
	if (link->faults.drop || link->faults.corrupt)
		fprintf(f, "to come: %" PRIu64 " bytes to drop, %" PRIu64 " to corrupt\n",
			link->faults.drop, link->faults.corrupt);
}

/* A whole number of at most `max`. */
static bool number(const char *text, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 0);
	return !errno && isdigit((unsigned char)*text) && !*end && *n <= max;
}

static int cut(struct link *link, const char *name, bool off, struct err *e)
{
	for (unsigned i = 0; i < link->nends; i++) {
		struct link_end *end = &link->ends[i];

		if (strcmp(end->name, name) != 0)
			continue;
		end->cut = off;
		link_event(link, off ? "cut" : "join", "%s", name);
		if (off && end->full) {
			end->full = false;
			end->ops.room(end->ops.arg);
		}
		return 0;
	}
	return err_set(e, -EINVAL, "link %s has no end '%s'; show lists them", link->name, name);
}

static int corrupt(struct link *link, unsigned argc, char **argv, struct err *e)
{
	uint64_t n, mask = 1;

	if (!number(argv[1], UINT32_MAX, &n) || (argc == 3 && !number(argv[2], 0xff, &mask)))
		return err_set(e, -EINVAL,
			"corrupt takes a number of bytes and the bits to turn over, as 3 0x80");
	link->faults.corrupt = n;
	link->faults.mask = (uint8_t)mask;
	return 0;
}

static int drop(struct link *link, const char *text, struct err *e)
{
	uint64_t n;

	if (!number(text, UINT32_MAX, &n))
		return err_set(e, -EINVAL, "drop takes a number of bytes, not '%.40s'", text);
	link->faults.drop = n;
	return 0;
}

int link_command(struct link *link, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	const char *verb = argc ? argv[0] : "";
	int r;

	if (argc == 1 && !strcmp(verb, "show")) {
		show(link, answer);
		return 0;
	}
	if (argc == 2 && !strcmp(verb, "drop"))
		r = drop(link, argv[1], e);
	else if ((argc == 2 || argc == 3) && !strcmp(verb, "corrupt"))
		r = corrupt(link, argc, argv, e);
	else if (argc == 2 && (!strcmp(verb, "cut") || !strcmp(verb, "join")))
		r = cut(link, argv[1], *verb == 'c', e);
	else
		r = err_set(e, -EINVAL,
			"there are: show; drop BYTES; corrupt BYTES [BITS]; cut END; join END");
	return r;
}
