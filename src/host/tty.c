/* SPDX-License-Identifier: BSD-3-Clause */
/* Terminals as raw serial lines. The kernel's own structure is used, which takes any speed. */
#include "host/tty.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>

const char *const tty_parity_words[] = { "none", "even", "odd", "mark", "space", NULL };
const char *const tty_flow_words[] = { "none", "rtscts", "xonxoff", NULL };
const unsigned long tty_ioctls[] = { TCGETS2, TCSETS2, 0 };

/* What settings say in c_cflag, besides the speed. */
#define LINE_FLAGS (CSIZE | CSTOPB | PARENB | PARODD | CMSPAR | CRTSCTS)

static tcflag_t line_flags(const struct tty_line *l)
{
	static const tcflag_t size[] = { CS5, CS6, CS7, CS8 };
	static const tcflag_t parity[] = {
		[TTY_PARITY_NONE] = 0,
		[TTY_PARITY_EVEN] = PARENB,
		[TTY_PARITY_ODD] = PARENB | PARODD,
		[TTY_PARITY_MARK] = PARENB | CMSPAR | PARODD,
		[TTY_PARITY_SPACE] = PARENB | CMSPAR,
	};

	return size[l->bits - 5] | parity[l->parity] | (l->stop == 2 ? CSTOPB : 0) |
	       (l->flow == TTY_FLOW_RTSCTS ? CRTSCTS : 0);
}

/* The speed that a driver reports is what its divisor gives: a few percent off at high speeds. */
static int speed_fits(speed_t got, uint32_t want)
{
	uint64_t apart = got > want ? got - want : want - got;

	return apart * 100 <= (uint64_t)want * 3;
}

static int check(
	const struct termios2 *got, const char *path, const struct tty_line *l, struct err *e)
{
	tcflag_t want = line_flags(l);

	if (!speed_fits(got->c_ospeed, l->baud))
		return err_set(e, -EINVAL, "%s takes %u baud for %u", path, got->c_ospeed, l->baud);
	if ((got->c_cflag & LINE_FLAGS) != want)
		return err_set(e, -EINVAL,
			"%s does not take bits %u, parity %s, stop %u, flow %s (c_cflag is 0x%x, "
			"not 0x%x)",
			path, l->bits, tty_parity_words[l->parity], l->stop,
			tty_flow_words[l->flow], got->c_cflag & LINE_FLAGS, want);
	return 0;
}

int tty_setup(int fd, const char *path, const struct tty_line *l, struct err *e)
{
	struct termios2 t;

	if (ioctl(fd, TCGETS2, &t) < 0)
		return err_set(e, -EINVAL, "%s is not a terminal device", path);
	t.c_iflag = l->flow == TTY_FLOW_XONXOFF ? IXON | IXOFF : 0;
	t.c_oflag = 0;
	t.c_lflag = 0;
	t.c_cflag &= ~(tcflag_t)(LINE_FLAGS | CBAUD | (CBAUD << IBSHIFT));
	t.c_cflag |= line_flags(l) | BOTHER | (BOTHER << IBSHIFT) | CREAD | CLOCAL;
	t.c_ispeed = t.c_ospeed = l->baud;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (ioctl(fd, TCSETS2, &t) < 0 || ioctl(fd, TCGETS2, &t) < 0)
		return err_sys(e, -errno, "setting up the line of %s", path);
	return check(&t, path, l, e);
}

unsigned tty_char_bits(const struct tty_line *l)
{
	return 1 + l->bits + (l->parity != TTY_PARITY_NONE) + l->stop;
}
