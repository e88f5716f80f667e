/* SPDX-License-Identifier: BSD-3-Clause */
/* PL011 registers (Arm DDI 0183G, chapter 3), as far as drivers can tell the difference. */
#include "machine/arm64/pl011.h"

#include "machine/arm64/primecell.h"
#include "machine/reg32.h"

#define UARTDR	  0x000u
#define UARTRSR	  0x004u
#define UARTFR	  0x018u
#define UARTILPR  0x020u
#define UARTIBRD  0x024u
#define UARTFBRD  0x028u
#define UARTLCR_H 0x02cu
#define UARTCR	  0x030u
#define UARTIFLS  0x034u
#define UARTIMSC  0x038u
#define UARTRIS	  0x03cu
#define UARTMIS	  0x040u
#define UARTICR	  0x044u
#define UARTDMACR 0x048u

#define PERIPH_ID 0x00141011u /* r1p1: FIFOs of 16 bytes */

#define FR_CTS	0x001u
#define FR_DSR	0x002u
#define FR_DCD	0x004u
#define FR_RXFE 0x010u
#define FR_RXFF 0x040u
#define FR_TXFE 0x080u
#define FR_RI	0x100u

#define LCR_FEN 0x10u

#define CR_UARTEN 0x001u
#define CR_LBE	  0x080u
#define CR_TXE	  0x100u
#define CR_RXE	  0x200u
#define CR_DTR	  0x400u
#define CR_RTS	  0x800u
#define CR_OUT1	  0x1000u
#define CR_OUT2	  0x2000u

#define INT_RX	0x010u
#define INT_TX	0x020u
#define INT_RT	0x040u
#define INT_ALL 0x7ffu

static void update_line(struct pl011 *u)
{
	bool level = u->ris & u->imsc;

	if (level == u->line)
		return;
	u->line = level;
	u->vmm->ops->irq_line(u->vmm, u->irq, level);
}

static unsigned rx_capacity(const struct pl011 *u)
{
	return u->lcr & LCR_FEN ? PL011_FIFO : 1;
}

/* Each byte raises the interrupt, whatever the trigger level: nobody gains from waiting, and
 * software made for virtual boards may not have enabled the timeout that brings the last bytes. */
static void rx_put(struct pl011 *u, uint8_t byte)
{
	if (u->rx_n >= rx_capacity(u))
		return;
	u->rx[(u->rx_head + u->rx_n++) % PL011_FIFO] = byte;
	u->ris |= INT_RX | INT_RT;
}

static void rx_clear(struct pl011 *u)
{
	u->rx_n = 0;
	u->ris &= ~(INT_RX | INT_RT);
}

static uint8_t rx_get(struct pl011 *u)
{
	uint8_t byte;

	if (!u->rx_n)
		return 0;
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % PL011_FIFO;
	if (!--u->rx_n)
		rx_clear(u);
	return byte;
}

/* The modem lines are those of somebody who is always there, or one's own (3.3.8, LBE). */
static uint32_t modem_flags(const struct pl011 *u)
{
	if (!(u->cr & CR_LBE))
		return FR_CTS | FR_DSR | FR_DCD;
	return (u->cr & CR_RTS ? FR_CTS : 0) | (u->cr & CR_DTR ? FR_DSR : 0) |
	       (u->cr & CR_OUT1 ? FR_DCD : 0) | (u->cr & CR_OUT2 ? FR_RI : 0);
}

static uint32_t flags(const struct pl011 *u)
{
	return FR_TXFE | modem_flags(u) | (u->rx_n ? 0 : FR_RXFE) |
	       (u->rx_n >= rx_capacity(u) ? FR_RXFF : 0);
}

static uint32_t read_reg(void *arg, uint32_t reg)
{
	struct pl011 *u = arg;

	switch (reg) {
	case UARTDR:
		return rx_get(u);
	case UARTFR:
		return flags(u);
	case UARTILPR:
		return u->ilpr;
	case UARTIBRD:
		return u->ibrd;
	case UARTFBRD:
		return u->fbrd;
	case UARTLCR_H:
		return u->lcr;
	case UARTCR:
		return u->cr;
	case UARTIFLS:
		return u->ifls;
	case UARTIMSC:
		return u->imsc;
	case UARTRIS:
		return u->ris;
	case UARTMIS:
		return u->ris & u->imsc;
	case UARTDMACR:
		return u->dmacr;
	default:
		return reg >= PRIMECELL_IDS ? primecell_id(reg, PERIPH_ID) : 0;
	}
}

static void transmit(struct pl011 *u, uint8_t byte)
{
	if (u->cr & CR_LBE)
		rx_put(u, byte);
	else
		hostline_put(&u->host, byte);
	/* The FIFO has fallen below its trigger level already. */
	u->ris |= INT_TX;
}

static void write_lcr(struct pl011 *u, uint32_t v)
{
	if ((v ^ u->lcr) & LCR_FEN)
		rx_clear(u);
	u->lcr = v & 0xff;
}

static void write_reg(void *arg, uint32_t reg, uint32_t v)
{
	struct pl011 *u = arg;

	switch (reg) {
	case UARTDR:
		transmit(u, (uint8_t)v);
		break;
	case UARTILPR:
		u->ilpr = v & 0xff;
		break;
	case UARTIBRD:
		u->ibrd = v & 0xffff;
		break;
	case UARTFBRD:
		u->fbrd = v & 0x3f;
		break;
	case UARTLCR_H:
		write_lcr(u, v);
		break;
	case UARTCR:
		u->cr = v & 0xffff;
		break;
	case UARTIFLS:
		u->ifls = v & 0x3f;
		break;
	case UARTIMSC:
		u->imsc = v & INT_ALL;
		break;
	case UARTICR:
		u->ris &= ~v;
		break;
	case UARTDMACR:
		u->dmacr = v & 7;
		break;
	default: /* UARTRSR: there are no errors to be cleared */
		break;
	}
}

/* Has the lock. */
static bool resumes(struct pl011 *u)
{
	return u->rx_n < rx_capacity(u) && hostline_resumes(&u->host);
}

static void pl011_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pl011 *u = arg;
	bool listen;

	pthread_mutex_lock(&u->lock);
	reg32_read(read_reg, u, offset, data, len);
	update_line(u);
	listen = resumes(u);
	pthread_mutex_unlock(&u->lock);
	if (listen)
		hostline_listen(&u->host);
}

static void pl011_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pl011 *u = arg;
	bool listen;

	pthread_mutex_lock(&u->lock);
	reg32_write(write_reg, u, offset, data, len);
	update_line(u);
	listen = resumes(u);
	pthread_mutex_unlock(&u->lock);
	if (listen)
		hostline_listen(&u->host);
}

static void on_input(void *arg, uint32_t events)
{
	struct pl011 *u = arg;
	uint8_t buf[PL011_FIFO];
	unsigned room, n;

	pthread_mutex_lock(&u->lock);
	room = rx_capacity(u);
	room = room > u->rx_n ? room - u->rx_n : 0;
	n = hostline_get(&u->host, buf, room);
	for (unsigned i = 0; i < n; i++)
		rx_put(u, buf[i]);
	update_line(u);
	pthread_mutex_unlock(&u->lock);
}

int pl011_init(struct pl011 *u, struct vmm *vmm, uint64_t addr, uint32_t irq, int in_fd, int out_fd,
	struct err *e)
{
	int rc;

	*u = (struct pl011){
		.vmm = vmm,
		.irq = irq,
		.cr = CR_UARTEN | CR_TXE | CR_RXE,
		.ifls = 0x12, /* both half full (3.3.9) */
		.range = { .len = PRIMECELL_LEN,
			.name = "PL011",
			.read = pl011_read,
			.write = pl011_write,
			.arg = u },
	};
	pthread_mutex_init(&u->lock, NULL);
	rc = bus_add(&vmm->mmio, &u->range, addr, e);
	return rc ? rc
		  : hostline_init(&u->host, vmm->loop, in_fd, out_fd, on_input, u, "the PL011", e);
}

void pl011_finish(struct pl011 *u)
{
	if (!u->vmm)
		return;
	hostline_finish(&u->host);
	bus_del(&u->vmm->mmio, &u->range);
	pthread_mutex_destroy(&u->lock);
	u->vmm = NULL;
}
