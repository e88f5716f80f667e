/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the SCMI device share. See scmi.h. */
#include "conformance/cases/scmi.h"

#define FRESH	   0xa5
#define PARAMS_MAX 96u

const struct scmi_notify scmi_notifies[] = {
	{ DRV_SCMI_BASE, SCMI_BASE_NOTIFY, 1, 0 },
	{ DRV_SCMI_POWER, 0x6, 2, 1 },
	{ DRV_SCMI_POWER, 0x7, 2, 1 },
	{ DRV_SCMI_SYSTEM, 0x5, 1, 0 },
	{ DRV_SCMI_PERF, 0x9, 2, 1 },
	{ DRV_SCMI_PERF, 0xa, 2, 1 },
	{ DRV_SCMI_CLOCK, 0x9, 2, 1 },
	{ DRV_SCMI_CLOCK, 0xa, 2, 1 },
	{ DRV_SCMI_SENSOR, 0x4, 2, 1 },
	{ DRV_SCMI_SENSOR, 0xb, 2, 1 },
	{ DRV_SCMI_RESET, 0x5, 2, 1 },
	{ DRV_SCMI_POWERCAP, 0xa, 2, 1 },
	{ DRV_SCMI_POWERCAP, 0xb, 4, 1 },
};
const unsigned scmi_nnotifies = sizeof(scmi_notifies) / sizeof(*scmi_notifies);

/* Reading a sensor, resetting a domain, and a clock's rate, rounded as the platform likes. */
const struct scmi_async scmi_asyncs[] = {
	{ DRV_SCMI_SENSOR, 0x6, 2, { 0, 1 } },
	{ DRV_SCMI_RESET, 0x4, 3, { 0, 5, 0 } },
	{ DRV_SCMI_CLOCK, 0x5, 4, { 9, 0, 1000000, 0 } },
};
const unsigned scmi_nasyncs = sizeof(scmi_asyncs) / sizeof(*scmi_asyncs);

static uint32_t word_at(const uint8_t *p, uint32_t i)
{
	uint32_t v;

	cf_copy(&v, p + i * 4, 4);
	return v;
}

bool scmi_up(struct scmi *s, struct cf *c, uint64_t want, unsigned events)
{
	bool p2a = want & cf_features(c, want) & SCMI_P2A;

	*s = (struct scmi){ .c = c };
	s->q = cf_up(c, want, p2a ? 2 : 1);
	s->eventq = s->q && p2a ? cf_q(c, 1) : NULL;
	s->out = s->q ? cf_buf(c, 4 + PARAMS_MAX) : NULL;
	s->in = s->out ? cf_buf(c, SCMI_ANSWER + SCMI_ROOM) : NULL;
	for (unsigned i = 0; s->in && p2a && i < events; i++)
		if (!scmi_feed(s, SCMI_EVENT))
			return false;
	return s->in;
}

static bool check_answer(struct scmi *s, uint32_t used, uint32_t room)
{
	if (!cf_check(s->c, used >= SCMI_ANSWER && used <= SCMI_ANSWER + room && used % 4 == 0,
		    "the used length is %u, must be %u to %u", used, SCMI_ANSWER,
		    SCMI_ANSWER + room) ||
		!cf_check(s->c, cf_filled(s->in + used, FRESH, SCMI_ANSWER + room - used),
			"the device wrote behind the %u bytes that it reports", used) ||
		!cf_check(s->c, word_at(s->in, 0) == s->hdr,
			"the header of the response is 0x%x, must be the command's, 0x%x",
			word_at(s->in, 0), s->hdr))
		return false;
	s->status = (int32_t)word_at(s->in, 1);
	if (!cf_check(s->c,
		    s->status <= 0 && (s->status >= SCMI_PROTOCOL_ERROR || s->status < -127),
		    "the status is %d, which SCMI does not have", s->status) ||
		!cf_check(s->c, !s->status || used == SCMI_ANSWER,
			"%u bytes follow the status %d, none must", used - SCMI_ANSWER, s->status))
		return false;
	s->n = (used - SCMI_ANSWER) / 4;
	for (uint32_t i = 0; i < s->n; i++)
		s->ret[i] = word_at(s->in, 2 + i);
	return true;
}

bool scmi_send(struct scmi *s, uint8_t protocol, uint8_t message, uint32_t len, uint32_t room)
{
	uint32_t used;

	s->token = (s->token + 1) & 0x3ff;
	s->hdr = DRV_SCMI_HDR(message, 0, protocol, s->token);
	cf_copy(s->out, &s->hdr, 4);
	cf_fill(s->in, FRESH, SCMI_ANSWER + SCMI_ROOM);
	return cf_do_len(s->c, s->q, s->out, len, s->in, SCMI_ANSWER + room, &used) &&
	       check_answer(s, used, room);
}

bool scmi_do(struct scmi *s, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n)
{
	if (n)
		cf_copy(s->out + 4, words, n * 4);
	return scmi_send(s, protocol, message, 4 + n * 4, SCMI_ROOM);
}

bool scmi_must(struct scmi *s, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n,
	int32_t want)
{
	return scmi_do(s, protocol, message, words, n) &&
	       cf_check(s->c, s->status == want,
		       "message 0x%x of protocol 0x%x is answered with status %d, must be %d",
		       message, protocol, s->status, want);
}

bool scmi_feed(struct scmi *s, uint32_t len)
{
	uint8_t *buf = cf_buf(s->c, len);
	struct drv_sg sg;

	if (!buf)
		return false;
	sg = cf_sg(s->c, buf, len);
	return cf_submit(s->c, s->eventq, &sg, 0, 1, buf);
}

bool scmi_take(struct scmi *s)
{
	void *cookie;
	uint32_t used;

	if (!cf_used(s->c, s->eventq, &cookie, &used) ||
		!cf_check(s->c, used >= 4 && used <= SCMI_EVENT && used % 4 == 0,
			"a message of the eventq has %u bytes", used))
		return false;
	s->event_hdr = word_at(cookie, 0);
	s->event_n = used / 4 - 1;
	for (uint32_t i = 0; i < s->event_n && i < SCMI_WORDS; i++)
		s->event[i] = word_at(cookie, 1 + i);
	return true;
}

unsigned scmi_list(struct scmi *s, uint8_t list[SCMI_WORDS])
{
	unsigned total = 0;

	while (total < SCMI_WORDS) {
		uint32_t skip = total;

		if (!scmi_must(s, DRV_SCMI_BASE, SCMI_BASE_LIST, &skip, 1, SCMI_SUCCESS) ||
			!cf_check(s->c, s->n >= 1 && s->n == 1 + (s->ret[0] + 3) / 4,
				"a list of %u protocols takes %u words", s->n ? s->ret[0] : 0,
				s->n))
			return 0;
		if (!s->ret[0])
			break;
		for (uint32_t i = 0; i < s->ret[0] && total < SCMI_WORDS; i++)
			list[total++] = (uint8_t)(s->ret[1 + i / 4] >> 8 * (i % 4));
	}
	return total;
}

bool scmi_has(struct scmi *s, uint8_t protocol)
{
	uint8_t list[SCMI_WORDS];
	unsigned n = scmi_list(s, list);

	for (unsigned i = 0; i < n; i++)
		if (list[i] == protocol)
			return true;
	return protocol == DRV_SCMI_BASE;
}

bool scmi_knows(struct scmi *s, uint8_t protocol, uint8_t message)
{
	uint32_t id = message;

	return scmi_do(s, protocol, SCMI_MESSAGE_ATTRIBUTES, &id, 1) && !s->status;
}

uint32_t scmi_resources(struct scmi *s, uint8_t protocol)
{
	if (protocol == DRV_SCMI_BASE || protocol == DRV_SCMI_SYSTEM ||
		!scmi_must(s, protocol, SCMI_ATTRIBUTES, NULL, 0, SCMI_SUCCESS) || !s->n)
		return 0;
	return s->ret[0] & 0xffff;
}

bool scmi_send_async(struct scmi *s, const struct scmi_async **which)
{
	for (unsigned i = 0; i < scmi_nasyncs && !cf_failed(s->c); i++) {
		const struct scmi_async *a = &scmi_asyncs[i];

		if (!scmi_has(s, a->protocol) ||
			!scmi_do(s, a->protocol, a->message, a->param, a->words) || s->status)
			continue;
		*which = a;
		return true;
	}
	if (!cf_failed(s->c))
		cf_skip(s->c, "the platform takes no asynchronous command of those tried");
	return false;
}
