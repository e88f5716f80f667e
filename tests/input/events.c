/* SPDX-License-Identifier: BSD-3-Clause */
#include "events.h"

#include <string.h>

void event_offer(struct vhud *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct iovec iov = { vhud_alloc(d, sizeof(struct event)), sizeof(struct event) };

		vhud_add(d, EVENTQ, &iov, 0, 1, iov.iov_base);
	}
	vhud_kick(d, EVENTQ);
}

bool event_next(struct vhud *d, struct event *ev, int timeout_ms)
{
	void *buf = NULL;
	uint32_t len = 0;

	if (vhud_wait(d, EVENTQ, &buf, &len, timeout_ms) != 1 || len != sizeof(*ev))
		return false;
	memcpy(ev, buf, sizeof(*ev));
	return true;
}

void event_expect(struct tap *t, struct vhud *d, const struct event *want, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct event ev = { 0 };

		REQUIRE(t, event_next(d, &ev, VHUD_TIMEOUT_MS));
		CHECK_EQ(t, ev.type, want[i].type);
		CHECK_EQ(t, ev.code, want[i].code);
		CHECK_EQ(t, ev.value, want[i].value);
	}
}
