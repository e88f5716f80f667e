/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest for tests of supervision. Words of its command line, all optional:
 *
 *     wait=MS      before anything else
 *     say=WORD     print this line on the console device
 *     notify=PORT  connect to that vsock port of the host and say READY=1
 *     listen=PORT  accept connections to that vsock port
 *     end=HOW      off, reset or crash at once; deaf: not even by the power button
 *
 * Without `end` it runs until its power button is pressed.
 */
#include "drivers/console.h"
#include "drivers/vsock.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define DEVICE_MEMORY (256u << 10)
#define LIMIT	      (20000 * MS) /* for the device to do what it is asked */

static struct bare_virtio_list devices;
static struct drv_console console;
static struct drv_vsock vsock;
static uint8_t buffers[2][8192];

/* The number KEY=N of the command line; 0 without one. */
static uint32_t number(const char *line, const char *key)
{
	char text[16] = "";
	uint32_t v = 0;

	bare_word(line, key, text, sizeof(text));
	for (const char *s = text; *s >= '0' && *s <= '9'; s++)
		v = 10 * v + (uint32_t)(*s - '0');
	return v;
}

static bool is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static void sleep_until(uint64_t when)
{
	while (bare_time() < when)
		bare_wait(when);
}

static int say(const char *word)
{
	struct bare_virtio *d = bare_virtio_get(&devices, DRV_ID_CONSOLE, 0);
	uint32_t len = 0;
	int r = d ? drv_console_open(&console, d->dev, 1) : DRV_GONE;

	while (word[len])
		len++;
	if (!r)
		r = drv_console_write(&console, 0, "one line\r\nit says ", 18);
	if (!r)
		r = drv_console_write(&console, 0, word, len);
	return r ? r : drv_console_write(&console, 0, "\r\n", 2);
}

static int open_vsock(void)
{
	struct bare_virtio *d = bare_virtio_get(&devices, DRV_ID_VSOCK, 0);

	return d ? drv_vsock_open(&vsock, d->dev) : DRV_GONE;
}

/* As systemd does with the credential vmm.notify_socket: other lines, too. */
static int notify(uint32_t port)
{
	static const char text[] = "X_TEST=1\nREADY=1\n";
	static struct drv_vsock_conn c = { .buf = buffers[0], .size = sizeof(buffers[0]) };
	uint64_t until = bare_time() + LIMIT;
	int r = drv_vsock_connect(&vsock, &c, 2, port, VIRTIO_VSOCK_TYPE_STREAM, until);

	if (!r)
		r = drv_vsock_send(&c, text, sizeof(text) - 1, until);
	return r ? r : drv_vsock_close(&c, until);
}

static void crash(void)
{
#ifdef __x86_64__
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
#else
	for (;;)
		__asm__ volatile("hvc #0x7f");
#endif
}

static void end(const char *how)
{
	if (is(how, "off"))
		bare_power_off();
	if (is(how, "reset"))
		bare_reset();
	if (is(how, "crash"))
		crash();
}

static int act(const char *line)
{
	static struct drv_vsock_conn c = { .buf = buffers[1], .size = sizeof(buffers[1]) };
	uint32_t to = number(line, "notify"), at = number(line, "listen");
	char word[32];
	int r = 0;

	if (bare_word(line, "say", word, sizeof(word)) > 0)
		r = say(word);
	if (!r && (to || at))
		r = open_vsock();
	if (!r && to)
		r = notify(to);
	if (!r && at)
		r = drv_vsock_listen(&vsock, &c, at, VIRTIO_VSOCK_TYPE_STREAM);
	return r;
}

int bare_main(struct bare_info *info)
{
	char how[8] = "";
	int r;

	bare_word(info->cmdline, "end", how, sizeof(how));
	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	sleep_until(bare_time() + number(info->cmdline, "wait") * MS);
	r = act(info->cmdline);
	if (!r)
		end(how);
	while (!r && (!bare_button() || is(how, "deaf"))) {
		bare_wait(bare_time() + 10 * MS);
		if (number(info->cmdline, "listen"))
			drv_vsock_poll(&vsock);
	}
	return r;
}
