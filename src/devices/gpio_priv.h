/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the GPIO device share: gpio.c (requests), gpio_irq.c (interrupts), gpio_line.c
 * (what is behind the lines), gpio_list.c (the key `lines`), gpio_state.c (the key `state`),
 * gpio_cmd.c (the operator). */
#pragma once

#include "base/le.h"
#include "devices/gpio.h"
#include "host/gpiochip.h"
#include "host/wires.h"
#include "virtio/device.h"

/* VIRTIO 1.4, 5.18. */
#define VIRTIO_ID_GPIO	   41
#define VIRTIO_GPIO_F_IRQ  0
#define GPIO_REQUESTQ	   0
#define GPIO_EVENTQ	   1
#define GPIO_LINES_MAX	   65535u /* ngpio has 16 bits */
#define GPIO_LINE_NAME_MAX WIRES_NAME_MAX

enum { GPIO_STATUS_OK, GPIO_STATUS_ERR };
enum { GPIO_IRQ_STATUS_INVALID, GPIO_IRQ_STATUS_VALID };

enum gpio_direction { GPIO_NONE, GPIO_OUT, GPIO_IN };

enum gpio_irq {
	GPIO_IRQ_NONE = 0,
	GPIO_IRQ_RISING = 1,
	GPIO_IRQ_FALLING = 2,
	GPIO_IRQ_BOTH = 3,
	GPIO_IRQ_HIGH = 4,
	GPIO_IRQ_LOW = 8,
};

struct virtio_gpio_config {
	le16 ngpio;
	uint8_t padding[2];
	le32 gpio_names_size;
};

struct virtio_gpio_request {
	le16 type, gpio;
	le32 value;
};

struct virtio_gpio_response {
	uint8_t status, value;
};

struct virtio_gpio_irq_request {
	le16 gpio;
};

/* What is behind a line. */
enum gpio_kind {
	GPIO_GAP,  /* nothing */
	GPIO_NET,  /* a net: simulated, or wired to other lines */
	GPIO_HOST, /* a line of the host */
};

struct gpio;

/* A line. */
struct gpio_line {
	struct gpio *gpio;
	uint16_t number;
	/* From the configuration. */
	uint8_t kind;
	bool no_in, no_out;
	bool open_drain;
	int8_t safe;	 /* what it drives while the driver does not; -1: nothing */
	char *name;	 /* NULL: none */
	char *full_name; /* of its end of a net, for events */
	struct wire_end end;
	struct chipline host;
	/* What the driver made of it. */
	uint8_t direction;	   /* enum gpio_direction */
	bool value;		   /* of the output, now or once it is one */
	uint8_t irq;		   /* enum gpio_irq: enabled unless GPIO_IRQ_NONE */
	bool latched;		   /* an edge came while the interrupt was masked */
	bool level;		   /* when an edge was last looked for */
	struct vq_chain *unmasked; /* the buffer of eventq; NULL: masked */
};

struct gpio {
	struct vdev dev;
	/* Keys. */
	struct opt_list list;
	char *state_path;
	struct wires_config wires_config;

	struct gpio_line *lines; /* n of them */
	unsigned n;
	uint32_t names_size;  /* of the block of names; 0: no line has one */
	struct wires *wires;  /* its own: simulated lines, and wires within the device */
	struct wires *shared; /* with other guests; or NULL */
	const char *port;     /* its name there */
	struct wires_host wires_host;
	struct wires_guest guest, shared_guest;
	struct gpiochips *chips;
	struct gpiochips_host chips_host;
	uint32_t *state;       /* of each line, in the file; NULL: there is none */
	bool touched;	       /* the driver has had requestq since the last reset */
	struct ev_timer again; /* continues after a turn of requests */
	struct log_limit failures;
	/* Metrics. */
	uint64_t requests, errors, irqs, irqs_latched, irqs_returned, host_errors;
};

static inline struct gpio *to_gpio(struct vdev *dev)
{
	return (struct gpio *)(void *)dev;
}

/* The key `lines` (docs/devices/gpio.md). Makes all lines and opens what is behind them. */
int gpio_lines_open(struct gpio *g, struct err *e);
void gpio_lines_close(struct gpio *g);

/* Brings a line into the state that the driver asked for: its direction, its output, or sensing for
 * its interrupt. 0 or -errno, which has been logged. */
int gpio_line_apply(struct gpio_line *l);
/* The level sensed: 0, 1 or -errno. */
int gpio_line_sense(struct gpio_line *l);
/* What is behind it calls these. */
void gpio_line_net_changed(struct wire_end *end, bool level);
void gpio_line_host_changed(struct chipline *host, bool level);

/* SET_IRQ_TYPE: a GPIO_STATUS_*. */
uint8_t gpio_irq_set_type(struct gpio_line *l, uint32_t type);
/* Disables the interrupt and returns its buffer. */
void gpio_irq_disable(struct gpio_line *l);
/* The line's level is another one. */
void gpio_irq_level(struct gpio_line *l, bool level);
/* Takes the buffers of eventq; true if there may be more. */
bool gpio_irq_serve(struct gpio *g);
/* Lets go of all buffers without returning them. */
void gpio_irq_forget(struct gpio *g);

/* The file is opened; of a line; of all lines. */
int gpio_state_open(struct gpio *g, struct err *e);
void gpio_state_close(struct gpio *g);
void gpio_state_save(const struct gpio_line *l);
void gpio_state_restore(struct gpio *g);

int gpio_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e);
