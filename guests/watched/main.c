/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest under a watchdog: feeds it, until it is told to hang or has fed it often enough; then it
 * is the watchdog's turn. The command line may say
 *
 *     timeout=MS   until the watchdog resets the machine (2000)
 *     period=MS    between two feedings (a quarter of that)
 *     feed=N       how often; 0: for ever (0)
 *
 * A key on its console, if it has one: 'h' hangs, 'q' switches off, as does the power button; any
 * other one is answered.
 */
#include "drivers/console.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define DEVICE_MEMORY (64u << 10)
#define NUMBER_MAX    1000000u
#define TIMEOUT	      2000u
#define FEEDING	      "watched: feeding\n"
#define PATIENCE      10u /* timeouts that it waits for its end */

enum order { ORDER_GO_ON, ORDER_HANG, ORDER_OFF };

static struct bare_virtio_list devices;
static struct drv_console console;
static bool has_console;

static uint32_t number(const char *line, const char *key, uint32_t missing)
{
	char text[16];
	uint32_t v = 0;

	if (bare_word(line, key, text, sizeof(text)) < 1)
		return missing;
	for (const char *s = text; *s >= '0' && *s <= '9' && v < NUMBER_MAX; s++)
		v = 10 * v + (uint32_t)(*s - '0');
	return v;
}

static void say(const char *text)
{
	uint32_t n = 0;

	bare_put(text);
	while (text[n])
		n++;
	if (has_console)
		drv_console_write(&console, 0, text, n);
}

static void open_console(struct bare_info *info)
{
	struct bare_virtio *v;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	v = bare_virtio_get(&devices, DRV_ID_CONSOLE, 0);
	has_console = v && !drv_console_open(&console, v->dev, 1);
}

/* Sleeps until `until`, unless somebody wants something. */
static enum order wait(uint64_t until)
{
	uint32_t len;
	char key;

	while (bare_time() < until) {
		if (bare_button())
			return ORDER_OFF;
		if (!has_console) {
			bare_wait(until);
			continue;
		}
		if (drv_console_read(&console, 0, &key, 1, &len, until))
			continue;
		if (key == 'h' || key == 'q')
			return key == 'h' ? ORDER_HANG : ORDER_OFF;
		say(FEEDING);
	}
	return bare_button() ? ORDER_OFF : ORDER_GO_ON;
}

static enum order feed(uint32_t period, uint32_t times)
{
	uint64_t next = bare_time();
	enum order order = ORDER_GO_ON;

	for (uint32_t n = 0; order == ORDER_GO_ON; n++) {
		if (times && n == times)
			return ORDER_HANG;
		bare_watchdog_feed();
		next += period * MS;
		order = wait(next);
	}
	return order;
}

int bare_main(struct bare_info *info)
{
	uint32_t timeout = number(info->cmdline, "timeout", TIMEOUT);
	uint32_t period = number(info->cmdline, "period", timeout / 4);
	uint32_t times = number(info->cmdline, "feed", 0);
	const char *kind;
	uint64_t end;

	open_console(info);
	kind = bare_watchdog_start(timeout);
	if (!kind) {
		say("watched: this machine has no watchdog\n");
		return 1;
	}
	bare_put("watched: ");
	bare_put(kind);
	bare_put(" watchdog\n");
	say(FEEDING);
	if (feed(period ? period : 1, times) == ORDER_OFF) {
		say("watched: switching off\n");
		return 0;
	}
	say("watched: hanging\n");
	end = bare_time() + (uint64_t)PATIENCE * timeout * MS;
	while (bare_time() < end)
		bare_wait(end);
	say("watched: the watchdog did nothing\n");
	return 1;
}
