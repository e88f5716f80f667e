/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers as in Intel's 6300ESB datasheet (order number 300641), chapter "Watchdog Timer". */
#include "machine/i6300esb.h"

#include "base/util.h"
#include "machine/reg32.h"

#define BAR_LEN 16u

/* Configuration space. */
#define WDT_CONFIG    0x60u
#define CONFIG_INT    0x03u /* what the first stage does: 0 interrupt, 2 SMI, 3 nothing */
#define CONFIG_1MHZ   0x04u
#define CONFIG_NO_OUT 0x20u /* the second stage does nothing */
#define WDT_LOCK      0x68u
#define LOCK_LOCKED   0x01u
#define LOCK_ENABLE   0x02u
#define LOCK_FREE     0x04u /* free-running: the second stage only, again and again */

/* Memory. */
#define PRELOAD1 0x00u
#define PRELOAD2 0x04u
#define INTR	 0x08u
#define RELOAD	 0x0cu

#define PRELOAD_MAX    0xfffffu
#define RELOAD_RELOAD  0x100u
#define RELOAD_TIMEOUT 0x200u
#define UNLOCK1	       0x80u
#define UNLOCK2	       0x86u

/* A tick is 2^15 or 2^5 clocks of the 33 MHz bus. */
#define TICK_1KHZ_NS 983040u
#define TICK_1MHZ_NS 960u
/* The shortest stage: a guest that asks for microseconds would only keep the host busy. */
#define STAGE_MIN_NS 1000000u

static const struct pci_ids ids = {
	.vendor = 0x8086, .device = 0x25ab, .class_code = 0x088000, /* a system peripheral */
};

static void update_line(struct i6300esb *w)
{
	bool level = w->pending && !(w->func.config[WDT_CONFIG] & CONFIG_INT) &&
		     !(pci_func_get16(&w->func, PCI_COMMAND) & PCI_COMMAND_NO_INTX);

	if (level == w->line)
		return;
	w->line = level;
	w->vmm->ops->irq_line(w->vmm, w->gsi, level);
}

static void start_stage(struct i6300esb *w, enum i6300esb_stage stage)
{
	uint64_t tick = w->func.config[WDT_CONFIG] & CONFIG_1MHZ ? TICK_1MHZ_NS : TICK_1KHZ_NS;

	w->stage = stage;
	countdown_start(
		&w->countdown, max_u64(w->preload[stage == I6300ESB_SECOND] * tick, STAGE_MIN_NS));
}

/* From the beginning, if the guest has enabled it. */
static void restart(struct i6300esb *w)
{
	uint8_t lock = w->func.config[WDT_LOCK];

	if (lock & LOCK_ENABLE) {
		start_stage(w, lock & LOCK_FREE ? I6300ESB_SECOND : I6300ESB_FIRST);
		return;
	}
	w->stage = I6300ESB_STOPPED;
	countdown_stop(&w->countdown);
}

/* The second stage has ended: true if that is the guest's end. */
static bool expire(struct i6300esb *w)
{
	w->timed_out = true;
	if (w->func.config[WDT_LOCK] & LOCK_FREE) {
		start_stage(w, I6300ESB_SECOND);
		return false;
	}
	w->stage = I6300ESB_STOPPED;
	return !(w->func.config[WDT_CONFIG] & CONFIG_NO_OUT);
}

static void on_end(void *arg, uint32_t events)
{
	struct i6300esb *w = arg;
	enum i6300esb_stage ended = I6300ESB_STOPPED;
	bool expired = false;

	pthread_mutex_lock(&w->lock);
	if (countdown_ended(&w->countdown))
		ended = w->stage;
	if (ended == I6300ESB_FIRST) {
		w->pending = true;
		start_stage(w, I6300ESB_SECOND);
	} else if (ended == I6300ESB_SECOND) {
		expired = expire(w);
	}
	update_line(w);
	pthread_mutex_unlock(&w->lock);
	if (ended == I6300ESB_FIRST)
		w->event(w->arg, MACHINE_WATCHDOG_PRETIMEOUT);
	else if (expired)
		w->event(w->arg, MACHINE_WATCHDOG_EXPIRED);
}

static uint32_t read_reg(void *arg, uint32_t reg)
{
	const struct i6300esb *w = arg;

	switch (reg) {
	case PRELOAD1:
	case PRELOAD2:
		return w->preload[reg / 4];
	case INTR:
		return w->pending;
	case RELOAD:
		return w->timed_out ? RELOAD_TIMEOUT : 0;
	default:
		return 0;
	}
}

/* The two writes that unlock the next one. */
static bool is_unlocking(struct i6300esb *w, uint32_t reg, uint32_t v)
{
	if (reg == RELOAD && v == UNLOCK1)
		w->unlock = 1;
	else if (reg == RELOAD && v == UNLOCK2 && w->unlock == 1)
		w->unlock = 2;
	else
		return false;
	return true;
}

static void write_reg(void *arg, uint32_t reg, uint32_t v)
{
	struct i6300esb *w = arg;
	bool unlocked = w->unlock == 2;

	if (is_unlocking(w, reg, v))
		return;
	w->unlock = 0;
	if (reg == INTR && (v & 1))
		w->pending = false;
	if (!unlocked)
		return;
	if (reg == PRELOAD1 || reg == PRELOAD2)
		w->preload[reg / 4] = v & PRELOAD_MAX;
	if (reg == RELOAD && (v & RELOAD_TIMEOUT))
		w->timed_out = false;
	if (reg == RELOAD && (v & RELOAD_RELOAD))
		restart(w);
}

static void bar_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct i6300esb *w = arg;

	pthread_mutex_lock(&w->lock);
	reg32_read(read_reg, w, offset, data, len);
	pthread_mutex_unlock(&w->lock);
}

static void bar_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct i6300esb *w = arg;

	pthread_mutex_lock(&w->lock);
	reg32_write(write_reg, w, offset, data, len);
	update_line(w);
	pthread_mutex_unlock(&w->lock);
}

static void config_read(void *arg, unsigned offset, void *data, unsigned len)
{
	struct i6300esb *w = arg;

	pthread_mutex_lock(&w->lock);
	pci_func_read(&w->func, offset, data, len);
	pthread_mutex_unlock(&w->lock);
}

static void config_write(void *arg, unsigned offset, const void *data, unsigned len)
{
	struct i6300esb *w = arg;
	uint8_t before;

	pthread_mutex_lock(&w->lock);
	before = w->func.config[WDT_LOCK];
	pci_func_write(&w->func, offset, data, len);
	if (w->func.config[WDT_LOCK] & LOCK_LOCKED)
		w->func.writable[WDT_LOCK] = 0;
	if ((before ^ w->func.config[WDT_LOCK]) & LOCK_ENABLE)
		restart(w);
	update_line(w);
	pthread_mutex_unlock(&w->lock);
}

int i6300esb_init(struct i6300esb *w, struct vmm *vmm, const struct pci_place *at,
	machine_event_fn *event, void *arg, struct err *e)
{
	*w = (struct i6300esb){
		.vmm = vmm,
		.gsi = at->gsi,
		.event = event,
		.arg = arg,
		.preload = { PRELOAD_MAX, PRELOAD_MAX },
	};
	pthread_mutex_init(&w->lock, NULL);
	pci_func_init(&w->func, vmm, &ids);
	w->func.bar.name = "i6300esb";
	w->func.bar.read = bar_read;
	w->func.bar.write = bar_write;
	w->func.bar.arg = w;
	pci_func_set_bar(&w->func, BAR_LEN);
	pci_func_place(&w->func, at);
	w->func.writable[WDT_CONFIG] = CONFIG_INT | CONFIG_1MHZ | CONFIG_NO_OUT;
	w->func.writable[WDT_LOCK] = LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE;
	return countdown_init(&w->countdown, vmm->loop, on_end, w, e);
}

void i6300esb_finish(struct i6300esb *w)
{
	if (!w->vmm)
		return;
	countdown_finish(&w->countdown);
	pci_func_finish(&w->func);
	pthread_mutex_destroy(&w->lock);
	w->vmm = NULL;
}

struct pci_slot i6300esb_slot(struct i6300esb *w)
{
	return (struct pci_slot){ config_read, config_write, w };
}

void i6300esb_hold(struct i6300esb *w, bool hold)
{
	pthread_mutex_lock(&w->lock);
	countdown_hold(&w->countdown, hold);
	pthread_mutex_unlock(&w->lock);
}
