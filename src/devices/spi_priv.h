/* SPDX-License-Identifier: BSD-3-Clause */
/* What spi.c (transfers), spi_config.c (keys, what is supported) and spi_host.c (chips of the host)
 * share. */
#pragma once

#include "base/le.h"
#include "devices/spi_chip.h"
#include "host/hostdev.h"
#include "host/worker.h"
#include "virtio/device.h"

#define SPI_CS_MAX 32u
/* Longest transfers, in bytes. */
#define SPI_TRANSFER_MAX      (16u << 20)
#define SPI_HOST_TRANSFER_MAX (1u << 20)
/* Bytes to and from a simulated chip at a time. */
#define SPI_CHUNK 4096u

#define SPI_TRANS_OK  0
#define SPI_PARAM_ERR 1
#define SPI_TRANS_ERR 2

/* Bits of a transfer's mode (5.21.6.1). */
#define SPI_MODE_CPHA	   0x01u
#define SPI_MODE_CPOL	   0x02u
#define SPI_MODE_CS_HIGH   0x04u
#define SPI_MODE_LSB_FIRST 0x08u
#define SPI_MODE_LOOP	   0x10u

/* VIRTIO 1.4, 5.21.4. */
struct spi_config {
	uint8_t cs_max_number, cs_change_supported, tx_nbits_supported, rx_nbits_supported;
	le32 bits_per_word_mask, mode_func_supported, max_freq_hz, max_word_delay_ns;
	le32 max_cs_setup_ns, max_cs_hold_ns, max_cs_inactive_ns;
};

/* VIRTIO 1.4, 5.21.6.1. */
struct spi_transfer_head {
	uint8_t chip_select_id, bits_per_word, cs_change, tx_nbits, rx_nbits, reserved[3];
	le32 mode, freq, word_delay_ns, cs_setup_ns, cs_delay_hold_ns;
	le32 cs_change_delay_inactive_ns;
};
_Static_assert(sizeof(struct spi_transfer_head) == 32, "5.21.6.1");

enum slot_kind { SLOT_EMPTY, SLOT_LOOPBACK, SLOT_CHIP, SLOT_HOST };

/* What is at a chip select. */
struct slot {
	enum slot_kind kind;
	struct spi_chip *chip; /* SLOT_CHIP */

	/* SLOT_HOST. */
	char *path;
	int fd;		 /* -1: it is gone */
	unsigned number; /* in hostdev */
	bool stale;	 /* close fd when the job is done */
	bool held;	 /* the last transfer left it selected */
	struct slot_keys {
		uint32_t max_frequency; /* Hz; 0: no limit of ours */
		int release;
	} keys;
};

/* When a chip of the host is deselected. */
enum { RELEASE_CHANGE, RELEASE_TRANSFER };

/* A transfer, checked. */
struct transfer {
	struct vq_chain *chain; /* NULL: none, or let go of by a reset */
	struct spi_transfer_head head;
	unsigned cs;
	uint32_t len, mode;
	bool tx, rx;
};

/* One on a chip of the host; or, with no length, deselecting it. */
struct spi_job {
	struct worker_job job;
	struct slot *slot;
	int fd, result;
	uint8_t *buf; /* what goes out, then what came in; NULL without length */
	uint32_t len, mode, speed_hz, max;
	uint16_t delay_us;
	uint8_t bits_per_word, tx_nbits, rx_nbits, word_delay_us;
	bool tx, rx, hold;
};

struct spi {
	struct vdev dev;
	/* Keys. */
	struct opt_list devices, bits_per_word, functions, tx_nbits, rx_nbits;
	uint32_t chip_selects, max_frequency;
	uint32_t max_word_delay, max_cs_setup, max_cs_hold, max_cs_inactive;
	bool cs_change;

	/* What is supported, as the configuration says it. */
	uint32_t word_mask, mode_func;
	uint8_t tx_bits, rx_bits;

	struct slot slots[SPI_CS_MAX];
	int selected; /* a chip select; -1: none */
	struct transfer now;
	bool busy; /* `now` is under way, or a chip of the host is being deselected */
	struct ev_timer delay;
	struct ev_task again;
	uint8_t chunk[2][SPI_CHUNK]; /* out and in */

	/* Chips of the host. */
	struct hostdev hostdev;
	struct slot *host_slots[SPI_CS_MAX];
	unsigned nhost;
	struct worker worker;
	struct spi_job job;
	struct log_limit troubles, denials;

	/* Metrics. */
	uint64_t transfers, tx_bytes, rx_bytes, param_errors, errors, denied, host_failures;
};

/* spi_config.c: the table of keys; what the keys say, checked, and chips opened; the
 * configuration space. */
extern const struct opt spi_opts[];
int spi_set_up(struct spi *s, struct err *e);
void spi_tear_down(struct spi *s);
void spi_config(const struct spi *s, struct spi_config *c);
/* True if all parameters are valid and supported (5.21.6.4). */
bool spi_head_valid(const struct spi *s, const struct spi_transfer_head *h);
/* Bytes of a word in memory: 1, 2 or 4. */
unsigned spi_word_bytes(uint8_t bits_per_word);

/* spi_host.c: chips of the host. */
int spi_host_open(struct spi *s, struct err *e);
void spi_host_close(struct spi *s);
/* Starts a transfer; spi_ended() follows, maybe at once. */
void spi_host_transfer(struct spi *s, const struct transfer *t, bool hold);
/* Deselects a chip if it is held; spi_released() follows, and the return value is true then. */
bool spi_host_release(struct spi *s, struct slot *slot);

/* spi.c: what spi_host.c reports, who kicks the queue afterwards if time has passed. `rx`: what
 * came in, if it was wanted. */
void spi_ended(struct spi *s, uint8_t result, const uint8_t *rx);
void spi_released(struct spi *s);
