/* SPDX-License-Identifier: BSD-3-Clause */
/* x86-64: serial port, power, and what is found without a description. */
#include "guests/bare/x86/x86.h"

#define COM_DATA     0u
#define COM_FIFO     2u
#define COM_LINE     3u
#define COM_MODEM    4u
#define COM_STATUS   5u
#define COM_EMPTY    0x20u
#define COM_FIFO_LEN 16u
#define WAIT_MAX     100000u
#define BIOS_START   0xe0000u
#define BIOS_END     0x100000u
#define POWER_BUTTON (1u << 8) /* in the PM1 status, cleared by writing it */
#define PM1_ENABLE   2u	       /* behind the status */
#define SLEEP_ENABLE (1u << 13)
#define HW_SLEEP     (1u << 5)
#define PCI_ADDRESS  0xcf8u
#define RDRAND	     (1u << 30) /* CPUID 1, ECX */
#define PCI_DATA     0xcfcu

void x86_serial_init(void)
{
	outb(PORT_COM1 + COM_LINE, 0x80); /* divisor: 115200 */
	outb(PORT_COM1, 1);
	outb(PORT_COM1 + 1, 0);
	outb(PORT_COM1 + COM_LINE, 3); /* 8 bits, no parity */
	outb(PORT_COM1 + COM_FIFO, 1);
	outb(PORT_COM1 + COM_MODEM, 3);
}

/* As much at once as the FIFO takes: every access may be a trip to the hypervisor. */
void bare_arch_write(const char *text, size_t len)
{
	while (len) {
		size_t n = len < COM_FIFO_LEN ? len : COM_FIFO_LEN, left = n;

		for (unsigned i = 0; i < WAIT_MAX && !(inb(PORT_COM1 + COM_STATUS) & COM_EMPTY);
			i++)
			;
		__asm__ volatile("rep outsb"
				 : "+S"(text), "+c"(left)
				 : "d"((uint16_t)(PORT_COM1 + COM_DATA))
				 : "memory");
		len -= n;
	}
}

uint64_t x86_find_rsdp(void)
{
	for (uintptr_t at = BIOS_START; at < BIOS_END; at += 16)
		if (!memcmp((const void *)at, "RSD PTR ", 8))
			return at;
	return 0;
}

/* Digits of a number in text; "0x" for hexadecimal, K and M as in Linux. */
static uint64_t number(const char **s)
{
	uint64_t v = 0;
	unsigned base = 10;

	if ((*s)[0] == '0' && (*s)[1] == 'x') {
		base = 16;
		*s += 2;
	}
	for (;; (*s)++) {
		char c = **s;
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
							: 16;

		if (digit >= base)
			break;
		v = v * base + digit;
	}
	if (**s == 'K' || **s == 'M')
		v <<= *(*s)++ == 'K' ? 10 : 20;
	return v;
}

/* Linux' virtio_mmio.device=SIZE@BASE:IRQ, which QEMU's microvm passes for each device. */
static void find_mmio_words(const char *s)
{
	static const char key[] = "virtio_mmio.device=";

	while (*s) {
		if (!memcmp(s, key, sizeof(key) - 1)) {
			struct bare_line line = { .valid = true, .level = true };
			uint64_t len, base;

			s += sizeof(key) - 1;
			len = number(&s);
			base = *s == '@' ? (s++, number(&s)) : 0;
			if (*s == ':') {
				s++;
				line.number = (uint32_t)number(&s);
				bare_add_mmio(base, len, &line);
			}
		}
		while (*s && *s != ' ')
			s++;
		while (*s == ' ')
			s++;
	}
}

void bare_arch_describe(void)
{
	struct bare_pci *pci = &bare.info.pci;

	find_mmio_words(bare.info.cmdline);
	if (bare.info.has_pci)
		return;
	/* Configuration mechanism 1, if something answers. */
	outl(PCI_ADDRESS, 0x80000000u);
	if (inl(PCI_ADDRESS) != 0x80000000u || inl(PCI_DATA) == 0xffffffffu)
		return;
	bare.info.has_pci = true;
	pci->last_bus = 0xff;
}

uint32_t bare_arch_pci_read(uint16_t bdf, uint16_t offset, unsigned width)
{
	uint16_t port = (uint16_t)(PCI_DATA + (offset & 3));

	/* The mechanism reaches the first 256 bytes of a function. */
	if (offset > 0xff)
		return UINT32_MAX;
	outl(PCI_ADDRESS, 0x80000000u | (uint32_t)bdf << 8 | (offset & 0xfcu));
	return width == 4 ? inl(port) : width == 2 ? inw(port) : inb(port);
}

void bare_arch_pci_write(uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
	uint16_t port = (uint16_t)(PCI_DATA + (offset & 3));

	if (offset > 0xff)
		return;
	outl(PCI_ADDRESS, 0x80000000u | (uint32_t)bdf << 8 | (offset & 0xfcu));
	if (width == 4)
		outl(port, v);
	else if (width == 2)
		outw(port, (uint16_t)v);
	else
		outb(port, (uint8_t)v);
}

bool bare_arch_random(uint64_t *v)
{
	uint8_t ok;

	if (!(x86_cpuid(1).c & RDRAND))
		return false;
	__asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=q"(ok)::"cc");
	return ok;
}

void bare_arch_init(void)
{
	x86_time_init();
	x86_irq_init();
	/* Machines may note a press only where somebody wants to hear of it. */
	if (bare.acpi.events)
		outw(bare.acpi.events + PM1_ENABLE, POWER_BUTTON);
}

void bare_arch_power_off(void)
{
	const struct bare_acpi_off *off = &bare.acpi;

	if (off->known && off->sleep_control) {
		bare_write8(off->sleep_control, (uint8_t)(off->type_a << 2 | HW_SLEEP));
	} else if (off->known && off->port_a) {
		uint16_t keep = inw(off->port_a) & 0x203; /* SCI_EN, BM_RLD, reserved */

		outw(off->port_a, (uint16_t)(keep | off->type_a << 10 | SLEEP_ENABLE));
		if (off->port_b)
			outw(off->port_b, (uint16_t)(off->type_b << 10 | SLEEP_ENABLE));
	} else {
		/* No description: where QEMU's machines have it; else a reset has to do. */
		outw(0x604, SLEEP_ENABLE);
		outw(0xb004, SLEEP_ENABLE);
		bare_arch_reset();
	}
	for (unsigned i = 0; i < WAIT_MAX; i++)
		__asm__ volatile("pause");
}

bool bare_button(void)
{
	uint16_t port = bare.acpi.events;

	if (!port || !(inw(port) & POWER_BUTTON))
		return false;
	outw(port, POWER_BUTTON);
	return true;
}

void bare_arch_reset(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	if (bare.acpi.reset && bare.acpi.reset_space == 1)
		outb((uint16_t)bare.acpi.reset_addr, bare.acpi.reset_value);
	else if (bare.acpi.reset && bare.acpi.reset_space == 0)
		bare_write8(bare.acpi.reset_addr, bare.acpi.reset_value);
	outb(0xcf9, 6);
	outb(0x64, 0xfe);
	__asm__ volatile("lidt %0; ud2" ::"m"(no_idt));
}

void bare_arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}
