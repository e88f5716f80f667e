/* SPDX-License-Identifier: BSD-3-Clause */
/* 16550A registers (National Semiconductor PC16550D), as far as drivers can tell the difference. */
#include "machine/x86/serial.h"

#define REG_DATA 0
#define REG_IER	 1
#define REG_IIR	 2 /* read */
#define REG_FCR	 2 /* written */
#define REG_LCR	 3
#define REG_MCR	 4
#define REG_LSR	 5
#define REG_MSR	 6
#define REG_SCR	 7

#define IER_RX	 0x01
#define IER_THRE 0x02

#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_RX	 0x04
#define IIR_FIFO 0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_DATA  0x01
#define LSR_EMPTY 0x60 /* transmitter holding and shift register */

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI	0x40
#define MSR_DCD 0x80

static uint8_t pending(const struct serial *s)
{
	if ((s->ier & IER_RX) && s->rx_n)
		return IIR_RX;
	if ((s->ier & IER_THRE) && s->thr_pending)
		return IIR_THRE;
	return IIR_NONE;
}

static void update_line(struct serial *s)
{
	bool level = pending(s) != IIR_NONE;

	if (level == s->line)
		return;
	s->line = level;
	s->vmm->ops->irq_line(s->vmm, s->irq, level);
}

static unsigned rx_capacity(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

static void rx_put(struct serial *s, uint8_t byte)
{
	if (s->rx_n == SERIAL_FIFO)
		return;
	s->rx[(s->rx_head + s->rx_n++) % SERIAL_FIFO] = byte;
}

static uint8_t rx_get(struct serial *s)
{
	uint8_t byte;

	if (!s->rx_n)
		return 0;
	byte = s->rx[s->rx_head];
	s->rx_head = (s->rx_head + 1) % SERIAL_FIFO;
	s->rx_n--;
	return byte;
}

static uint8_t modem_status(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t id = pending(s);

	if (id == IIR_THRE)
		s->thr_pending = false;
	return id | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_reg(struct serial *s, unsigned reg)
{
	switch (reg) {
	case REG_DATA:
		return s->lcr & LCR_DLAB ? s->dll : rx_get(s);
	case REG_IER:
		return s->lcr & LCR_DLAB ? s->dlm : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return LSR_EMPTY | (s->rx_n ? LSR_DATA : 0);
	case REG_MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void transmit(struct serial *s, uint8_t byte)
{
	s->thr_pending = true;
	if (s->mcr & MCR_LOOP)
		rx_put(s, byte);
	else
		hostline_put(&s->host, byte);
}

static void write_fcr(struct serial *s, uint8_t v)
{
	if ((v & FCR_CLEAR_RX) || !(v & FCR_ENABLE) != !(s->fcr & FCR_ENABLE))
		s->rx_n = 0;
	s->fcr = v;
}

static void write_ier(struct serial *s, uint8_t v)
{
	/* Enabling the interrupt while the transmitter is empty raises it. */
	if ((v & IER_THRE) && !(s->ier & IER_THRE))
		s->thr_pending = true;
	s->ier = v & 0x0f;
}

static void write_reg(struct serial *s, unsigned reg, uint8_t v)
{
	switch (reg) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB)
			s->dll = v;
		else
			transmit(s, v);
		break;
	case REG_IER:
		if (s->lcr & LCR_DLAB)
			s->dlm = v;
		else
			write_ier(s, v);
		break;
	case REG_FCR:
		write_fcr(s, v);
		break;
	case REG_LCR:
		s->lcr = v;
		break;
	case REG_MCR:
		s->mcr = v & 0x1f;
		break;
	case REG_SCR:
		s->scr = v;
		break;
	default:
		break;
	}
}

/* Has the lock. */
static bool resumes(struct serial *s)
{
	return s->rx_n < rx_capacity(s) && hostline_resumes(&s->host);
}

static void serial_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct serial *s = arg;
	bool listen;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < len; i++)
		((uint8_t *)data)[i] = read_reg(s, (unsigned)offset + i);
	update_line(s);
	listen = resumes(s);
	pthread_mutex_unlock(&s->lock);
	if (listen)
		hostline_listen(&s->host);
}

static void serial_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct serial *s = arg;
	bool listen;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < len; i++)
		write_reg(s, (unsigned)offset + i, ((const uint8_t *)data)[i]);
	update_line(s);
	listen = resumes(s);
	pthread_mutex_unlock(&s->lock);
	if (listen)
		hostline_listen(&s->host);
}

/* The host side has something to say: as much as fits. */
static void on_input(void *arg, uint32_t events)
{
	struct serial *s = arg;
	uint8_t buf[SERIAL_FIFO];
	unsigned room, n;

	pthread_mutex_lock(&s->lock);
	room = rx_capacity(s);
	room = room > s->rx_n ? room - s->rx_n : 0;
	n = hostline_get(&s->host, buf, room);
	for (unsigned i = 0; i < n; i++)
		rx_put(s, buf[i]);
	update_line(s);
	pthread_mutex_unlock(&s->lock);
}

int serial_init(struct serial *s, struct vmm *vmm, uint16_t port, uint32_t irq, int in_fd,
	int out_fd, struct err *e)
{
	int rc;

	*s = (struct serial){
		.vmm = vmm,
		.irq = irq,
		.dll = 1,
		.range = { .len = 8,
			.name = "COM1",
			.read = serial_read,
			.write = serial_write,
			.arg = s },
	};
	pthread_mutex_init(&s->lock, NULL);
	rc = bus_add(&vmm->pio, &s->range, port, e);
	return rc ? rc : hostline_init(&s->host, vmm->loop, in_fd, out_fd, on_input, s, "COM1", e);
}

void serial_finish(struct serial *s)
{
	if (!s->vmm)
		return;
	hostline_finish(&s->host);
	bus_del(&s->vmm->pio, &s->range);
	pthread_mutex_destroy(&s->lock);
	s->vmm = NULL;
}
