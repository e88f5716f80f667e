/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine's watchdog: the generic watchdog of Arm's SBSA (DEN0029, now BSA DEN0094, "Generic
 * watchdog") where the device tree has one, else Intel's i6300ESB on the first PCI bus. Both have
 * two stages of the same length and reset the machine at the end of the second.
 */
#include "guests/bare/bare_priv.h"
#include "guests/bare/virtio.h"

/* SBSA: a frame to refresh, and one to control. */
#define WRR	   0x00u
#define WCS	   0x00u
#define WOR	   0x08u
#define WCS_ENABLE 1u
#define FRAME_LEN  0x1000u

/* i6300ESB: configuration space, then the registers of BAR 0 (6300ESB datasheet, chapter 16). */
#define ESB_ID		    0x25ab8086u
#define ESB_CONFIG	    0x60u
#define ESB_LOCK	    0x68u
#define ESB_TIMER1	    0x00u
#define ESB_TIMER2	    0x04u
#define ESB_RELOAD	    0x0cu
#define CONFIG_NO_INTERRUPT 3u /* nothing at the end of the first stage */
#define LOCK_ENABLE	    2u
#define UNLOCK1		    0x80u
#define UNLOCK2		    0x86u
#define RELOAD		    0x100u
#define TIMER_MAX	    0xfffffu /* of about a millisecond each: 33 MHz / 2^15 */

/* The one that was started. */
static struct {
	uint64_t refresh; /* SBSA; 0: not this one */
	uint64_t esb;	  /* i6300ESB; 0: not this one */
} dog;

static uint32_t limit(uint64_t v, uint32_t max)
{
	return v < max ? (uint32_t)v : max;
}

static bool start_sbsa(uint32_t ms)
{
	const struct bare_watchdog *w = &bare.watchdog;

	if (!w->control || !bare_map(w->control, FRAME_LEN) || !bare_map(w->refresh, FRAME_LEN))
		return false;
	bare_write32(w->control + WOR, limit(bare.info.clock_hz * ms / 2000, UINT32_MAX));
	bare_write32(w->control + WCS, WCS_ENABLE);
	dog.refresh = w->refresh;
	return true;
}

/* Each write to the timers or to the reload register has to be unlocked. */
static void esb_unlock(void)
{
	bare_write16(dog.esb + ESB_RELOAD, UNLOCK1);
	bare_write16(dog.esb + ESB_RELOAD, UNLOCK2);
}

static void esb_set(uint32_t timer, uint32_t v)
{
	esb_unlock();
	bare_write32(dog.esb + timer, v);
}

static void esb_reload(void)
{
	esb_unlock();
	bare_write16(dog.esb + ESB_RELOAD, RELOAD);
}

static bool find_esb(const struct drv_pci_host *h, uint16_t *bdf)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		*bdf = (uint16_t)(h->first_bus << 8 | slot << 3);
		if (h->read(h->ctx, *bdf, 0, 4) == ESB_ID)
			return true;
	}
	return false;
}

static bool start_esb(uint32_t ms)
{
	struct drv_pci_host h;
	uint32_t command;
	uint16_t bdf;

	if (!bare.info.has_pci || !bare_pci_host(&h, &bare.info.pci) || !find_esb(&h, &bdf))
		return false;
	dog.esb = h.read(h.ctx, bdf, DRV_PCI_BAR0, 4) & ~UINT32_C(0xf);
	if (!dog.esb || !bare_map(dog.esb, FRAME_LEN))
		return false;
	command = h.read(h.ctx, bdf, DRV_PCI_COMMAND, 2);
	h.write(h.ctx, bdf, DRV_PCI_COMMAND, 2, command | DRV_PCI_COMMAND_MEMORY);
	h.write(h.ctx, bdf, ESB_CONFIG, 2, CONFIG_NO_INTERRUPT);
	esb_set(ESB_TIMER1, limit(ms / 2, TIMER_MAX));
	esb_set(ESB_TIMER2, limit(ms / 2, TIMER_MAX));
	esb_reload();
	h.write(h.ctx, bdf, ESB_LOCK, 1, LOCK_ENABLE);
	return true;
}

const char *bare_watchdog_start(uint32_t ms)
{
	if (start_sbsa(ms))
		return "SBSA";
	return start_esb(ms) ? "i6300ESB" : NULL;
}

void bare_watchdog_feed(void)
{
	if (dog.refresh)
		bare_write32(dog.refresh + WRR, 0);
	else if (dog.esb)
		esb_reload();
}
