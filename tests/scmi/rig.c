/* SPDX-License-Identifier: BSD-3-Clause */
#include "scmi/rig.h"

#include <endian.h>
#include <string.h>

#include "base/util.h"
#include "devices/devices.h"

#define KEYS_MAX 8u

void rig_feed(struct scmi_rig *r, unsigned size)
{
	struct iovec iov = { vhud_alloc(r->d, size), size };

	vhud_add(r->d, EVENTQ, &iov, 0, 1, iov.iov_base);
	vhud_kick(r->d, EVENTQ);
}

void rig_start(struct tap *t, struct scmi_rig *r, uint64_t features, unsigned events)
{
	CHECK_EQ(t,
		vhud_start(r->d, &(struct vhud_opts){ .features = features,
					 .nqueues = features & P2A ? 2 : 1 }),
		0);
	for (unsigned i = 0; i < events; i++)
		rig_feed(r, EVENT_SIZE);
}

void rig_open(struct tap *t, struct scmi_rig *r, uint64_t features, unsigned events,
	const char *const *keys)
{
	const char *k[2 * KEYS_MAX + 1] = { 0 };

	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; keys && keys[i] && i < 2 * KEYS_MAX; i++)
		k[i] = keys[i];
	CHECK_EQ(t,
		vhud_serve(&r->srv, &vdev_scmi, k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7],
			k[8], k[9], k[10], k[11], k[12], k[13], k[14], k[15], NULL),
		0);
	r->d = vhud_open(r->srv.path);
	if (CHECK(t, r->d))
		rig_start(t, r, features, events);
}

void rig_close(struct scmi_rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
}

int32_t rig_do_room(struct scmi_rig *r, uint8_t protocol, uint8_t message, const uint32_t *words,
	unsigned n, uint32_t room)
{
	uint32_t out[1 + WORDS_MAX], in[2 + WORDS_MAX] = { 0 };
	ssize_t len;

	r->token = (r->token + 1) & 0x3ff;
	out[0] = htole32(SCMI_HDR(message, SCMI_TYPE_COMMAND, protocol) | r->token << 18);
	for (unsigned i = 0; i < n; i++)
		out[1 + i] = htole32(words[i]);
	len = vhud_do(r->d, CMDQ, out, (1 + n) * 4, in, 8 + room);
	if (len < 8 || in[0] != out[0])
		return INT32_MIN;
	r->status = (int32_t)le32toh(in[1]);
	r->n = (uint32_t)len / 4 - 2;
	for (unsigned i = 0; i < r->n; i++)
		r->ret[i] = le32toh(in[2 + i]);
	return r->status;
}

int32_t rig_do(
	struct scmi_rig *r, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n)
{
	return rig_do_room(r, protocol, message, words, n, 128);
}

bool rig_event(struct scmi_rig *r, int timeout_ms)
{
	uint32_t len, word;
	void *token;

	if (vhud_wait(r->d, EVENTQ, &token, &len, timeout_ms) != 1 || len < 4)
		return false;
	memcpy(&word, token, 4);
	r->event_hdr = le32toh(word);
	r->event_n = len / 4 - 1;
	for (unsigned i = 0; i < r->event_n; i++) {
		memcpy(&word, (uint8_t *)token + 4 + i * 4, 4);
		r->event[i] = le32toh(word);
	}
	vhud_add(r->d, EVENTQ, &(struct iovec){ token, EVENT_SIZE }, 0, 1, token);
	vhud_kick(r->d, EVENTQ);
	return true;
}

bool rig_text_is(const uint32_t *p, const char *text)
{
	char buf[64];

	for (unsigned i = 0; i < 16; i++) {
		uint32_t word = htole32(p[i]);

		memcpy(buf + i * 4, &word, 4);
		if (!memchr(buf + i * 4, '\0', 4))
			continue;
		return !strcmp(buf, text);
	}
	return false;
}

struct tell {
	struct vdev *dev;
	unsigned argc;
	char *argv[16];
	FILE *f;
	struct err e;
	int ret;
};

static void run_tell(void *arg)
{
	struct tell *tell = arg;

	tell->ret = tell->dev->cls->command(tell->dev, tell->argc, tell->argv, tell->f, &tell->e);
}

int rig_tell(struct scmi_rig *r, const char *words, char *answer, size_t size)
{
	struct tell tell = { .dev = r->srv.dev };
	autofree char *copy = strdup(words), *text = NULL;
	size_t len = 0;
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		tell.argv[tell.argc++] = w;
	tell.f = open_memstream(&text, &len);
	vhud_serve_call(&r->srv, run_tell, &tell);
	fclose(tell.f);
	if (answer)
		snprintf(answer, size, "%s", tell.ret ? tell.e.msg : text);
	return tell.ret;
}
