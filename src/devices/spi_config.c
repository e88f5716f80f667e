/* SPDX-License-Identifier: BSD-3-Clause */
/* The SPI controller's keys, and what follows from them: chips, and what is supported. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/words.h"
#include "devices/spi_priv.h"
#include "host/spidev.h"

#define DELAY_MAX UINT32_C(1000000000) /* ns */

/* mode_func_supported: CPHA and CPOL, both values of each; then one bit for each function. */
#define FUNC_MODES     0x0fu
#define FUNC_CS_HIGH   0x10u
#define FUNC_LSB_FIRST 0x20u
#define FUNC_LOOP      0x40u

static const char *const release_words[] = { "change", "transfer", NULL };

#define SLOT(f) offsetof(struct slot_keys, f)
static const struct opt slot_opts[] = {
	{ "max-frequency", OPT_U32, SLOT(max_frequency), .def = "0", .help = "Hz" },
	{ "release", OPT_ENUM, SLOT(release), .def = "change", .words = release_words,
		.help = "when the chip is deselected" },
	OPT_END,
};

#define SPI(f) offsetof(struct spi, f)
const struct opt spi_opts[] = {
	{ "devices", OPT_LIST, SPI(devices), .flags = OPT_FILES,
		.help = "chips, each \"CHIPSELECT WHAT KEY=VALUE...\"; WHAT: flash, loopback, or "
			"/dev/spidevB.C of the host" },
	{ "chip-selects", OPT_U32, SPI(chip_selects), .def = "0", .max = SPI_CS_MAX,
		.help = "number of chip selects; 0: up to the last one with a chip" },
	{ "cs-change", OPT_BOOL, SPI(cs_change), .def = "true",
		.help = "the driver may have a chip deselected after a transfer" },
	{ "bits-per-word", OPT_LIST, SPI(bits_per_word),
		.help = "word sizes, from 1 to 32, or any (default: 8)" },
	{ "functions", OPT_LIST, SPI(functions),
		.help = "further modes: cs-high, lsb-first, loop (default: none)" },
	{ "tx-nbits", OPT_LIST, SPI(tx_nbits),
		.help = "lines for sending besides one: 2, 4, 8 (default: none)" },
	{ "rx-nbits", OPT_LIST, SPI(rx_nbits),
		.help = "lines for receiving besides one: 2, 4, 8 (default: none)" },
	{ "max-frequency", OPT_U32, SPI(max_frequency), .def = "0", .help = "Hz, 0: no limit" },
	{ "max-word-delay", OPT_U32, SPI(max_word_delay), .def = "0", .max = 1000000,
		.help = "ns between words; 0: unsupported, as for the next three" },
	{ "max-cs-setup", OPT_U32, SPI(max_cs_setup), .def = "0", .max = DELAY_MAX,
		.help = "ns after selecting" },
	{ "max-cs-hold", OPT_U32, SPI(max_cs_hold), .def = "0", .max = DELAY_MAX,
		.help = "ns before deselecting" },
	{ "max-cs-inactive", OPT_U32, SPI(max_cs_inactive), .def = "0", .max = DELAY_MAX,
		.help = "ns after deselecting" },
	OPT_END,
};

/* What is supported. */

static int parse_words(struct spi *s, struct err *e)
{
	s->word_mask = s->bits_per_word.n ? 0 : 1u << 7;
	for (unsigned i = 0; i < s->bits_per_word.n; i++) {
		const char *word = s->bits_per_word.v[i];
		uint64_t bits;

		if (!strcmp(word, "any") && s->bits_per_word.n == 1)
			return 0;
		if (words_number(word, 1, 32, &bits))
			return err_set(e, -EINVAL,
				"bits-per-word: '%.32s' is no word size from 1 to 32, and not "
				"'any' alone",
				word);
		s->word_mask |= 1u << (bits - 1);
	}
	return 0;
}

static int parse_functions(struct spi *s, struct err *e)
{
	static const char *const names[] = { "cs-high", "lsb-first", "loop" };

	s->mode_func = FUNC_MODES;
	for (unsigned i = 0; i < s->functions.n; i++) {
		const char *word = s->functions.v[i];
		unsigned k = 0;

		while (k < ARRAY_LEN(names) && strcmp(word, names[k]) != 0)
			k++;
		if (k == ARRAY_LEN(names))
			return err_set(e, -EINVAL,
				"functions: '%.32s' is none of cs-high, lsb-first, loop", word);
		s->mode_func |= FUNC_CS_HIGH << k;
	}
	return 0;
}

static int parse_nbits(const char *key, const struct opt_list *l, uint8_t *bits, struct err *e)
{
	for (unsigned i = 0; i < l->n; i++) {
		uint64_t v;

		if (words_number(l->v[i], 2, 8, &v) || !is_pow2(v))
			return err_set(e, -EINVAL, "%s: '%.32s' is none of 2, 4, 8", key, l->v[i]);
		*bits |= (uint8_t)(v >> 1);
	}
	return 0;
}

/* spidev has no delay after selecting or deselecting, and the others in microseconds. */
static int check_delays(const struct spi *s, struct err *e)
{
	if (!s->nhost)
		return 0;
	if (s->max_cs_setup || s->max_cs_inactive)
		return err_set(e, -EINVAL,
			"max-cs-setup and max-cs-inactive must be 0: chips of the host cannot have "
			"these delays");
	if (s->max_cs_hold > SPIDEV_DELAY_MAX_US * 1000u)
		return err_set(e, -EINVAL, "max-cs-hold: at most %u for chips of the host",
			SPIDEV_DELAY_MAX_US * 1000u);
	if (s->max_word_delay > SPIDEV_WORD_DELAY_MAX_US * 1000u)
		return err_set(e, -EINVAL, "max-word-delay: at most %u for chips of the host",
			SPIDEV_WORD_DELAY_MAX_US * 1000u);
	return 0;
}

void spi_config(const struct spi *s, struct spi_config *c)
{
	*c = (struct spi_config){
		.cs_max_number = (uint8_t)s->chip_selects,
		.cs_change_supported = s->cs_change,
		.tx_nbits_supported = s->tx_bits,
		.rx_nbits_supported = s->rx_bits,
		.bits_per_word_mask = htole32(s->word_mask),
		.mode_func_supported = htole32(s->mode_func),
		.max_freq_hz = htole32(s->max_frequency),
		.max_word_delay_ns = htole32(s->max_word_delay),
		.max_cs_setup_ns = htole32(s->max_cs_setup),
		.max_cs_hold_ns = htole32(s->max_cs_hold),
		.max_cs_inactive_ns = htole32(s->max_cs_inactive),
	};
}

/* One line, or a number of lines that is supported. */
static bool nbits_valid(uint8_t nbits, uint8_t supported)
{
	return nbits <= 1 || (is_pow2(nbits) && supported & nbits >> 1);
}

static bool mode_valid(const struct spi *s, uint32_t mode)
{
	/* Selecting high, least significant bit first and loop have the same order in both. */
	return !(mode & ~(SPI_MODE_CPHA | SPI_MODE_CPOL | s->mode_func >> 4 << 2));
}

bool spi_head_valid(const struct spi *s, const struct spi_transfer_head *h)
{
	uint32_t freq = le32toh(h->freq);

	if (h->chip_select_id >= s->chip_selects || !h->bits_per_word || h->bits_per_word > 32 ||
		h->cs_change > s->cs_change || h->reserved[0] || h->reserved[1] || h->reserved[2])
		return false;
	if (s->word_mask && !(s->word_mask >> (h->bits_per_word - 1) & 1))
		return false;
	return nbits_valid(h->tx_nbits, s->tx_bits) && nbits_valid(h->rx_nbits, s->rx_bits) &&
	       mode_valid(s, le32toh(h->mode)) && (!s->max_frequency || freq <= s->max_frequency) &&
	       le32toh(h->word_delay_ns) <= s->max_word_delay &&
	       le32toh(h->cs_setup_ns) <= s->max_cs_setup &&
	       le32toh(h->cs_delay_hold_ns) <= s->max_cs_hold &&
	       le32toh(h->cs_change_delay_inactive_ns) <= s->max_cs_inactive;
}

unsigned spi_word_bytes(uint8_t bits_per_word)
{
	return bits_per_word <= 8 ? 1 : bits_per_word <= 16 ? 2 : 4;
}

/* Chips. */

static int add_chip(
	struct slot *slot, const struct spi_chip_class *cls, const struct words *w, struct err *e)
{
	struct spi_chip *chip = calloc(1, cls->size);
	int r;

	if (!chip)
		return err_set(e, -ENOMEM, "out of memory");
	chip->cls = cls;
	r = opt_defaults(cls->opts, chip, e);
	if (!r)
		r = words_set(cls->opts, chip, w->v + 2, w->n - 2, e);
	if (!r)
		r = cls->init(chip, e);
	if (r) {
		opt_free(cls->opts, chip);
		free(chip);
		return r;
	}
	slot->chip = chip;
	slot->kind = SLOT_CHIP;
	return 0;
}

static int add_host(struct spi *s, struct slot *slot, const struct words *w, struct err *e)
{
	int r = opt_defaults(slot_opts, &slot->keys, e);

	if (!r)
		r = words_set(slot_opts, &slot->keys, w->v + 2, w->n - 2, e);
	if (r)
		return r;
	slot->path = strdup(w->v[1]);
	if (!slot->path)
		return err_set(e, -ENOMEM, "out of memory");
	slot->kind = SLOT_HOST;
	slot->number = s->nhost;
	s->host_slots[s->nhost++] = slot;
	return 0;
}

static int add_words(struct spi *s, const struct words *w, struct err *e)
{
	uint64_t cs;
	struct slot *slot;

	if (words_number(w->v[0], 0, SPI_CS_MAX - 1, &cs))
		return err_set(
			e, -EINVAL, "'%.32s' is no chip select, 0 to %u", w->v[0], SPI_CS_MAX - 1);
	slot = &s->slots[cs];
	if (slot->kind != SLOT_EMPTY)
		return err_set(e, -EINVAL, "chip select %u is taken", (unsigned)cs);
	if (w->n < 2)
		return err_set(e, -EINVAL, "what is there? flash, loopback or /dev/spidevB.C");
	if (cs >= s->chip_selects)
		s->chip_selects = (uint32_t)cs + 1;
	if (w->v[1][0] == '/')
		return add_host(s, slot, w, e);
	if (!strcmp(w->v[1], spi_flash.name))
		return add_chip(slot, &spi_flash, w, e);
	if (strcmp(w->v[1], "loopback") != 0)
		return err_set(e, -EINVAL,
			"there is no simulated chip '%.32s'; there are flash and loopback, and "
			"/dev/spidevB.C is a chip of the host",
			w->v[1]);
	slot->kind = SLOT_LOOPBACK;
	return w->n > 2 ? err_set(e, -EINVAL, "a loopback has no keys") : 0;
}

static int add_device(struct spi *s, const char *line, struct err *e)
{
	struct words w;
	int r = words_split(&w, line, e);

	if (!r) {
		r = add_words(s, &w, e);
		words_free(&w);
	}
	return r ? err_prefix(e, "devices: '%.64s'", line) : 0;
}

static int add_devices(struct spi *s, struct err *e)
{
	uint32_t said = s->chip_selects;
	int r = 0;

	for (unsigned i = 0; i < s->devices.n && !r; i++)
		r = add_device(s, s->devices.v[i], e);
	if (r)
		return r;
	if (said && s->chip_selects > said)
		return err_set(e, -EINVAL, "chip-selects: %u, but a chip is at chip select %u",
			said, s->chip_selects - 1);
	if (!s->chip_selects)
		s->chip_selects = 1;
	return 0;
}

int spi_set_up(struct spi *s, struct err *e)
{
	int r = parse_words(s, e);

	if (!r)
		r = parse_functions(s, e);
	if (!r)
		r = parse_nbits("tx-nbits", &s->tx_nbits, &s->tx_bits, e);
	if (!r)
		r = parse_nbits("rx-nbits", &s->rx_nbits, &s->rx_bits, e);
	if (!r)
		r = add_devices(s, e);
	if (!r)
		r = check_delays(s, e);
	return r || !s->nhost ? r : spi_host_open(s, e);
}

void spi_tear_down(struct spi *s)
{
	spi_host_close(s);
	for (unsigned i = 0; i < SPI_CS_MAX; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->chip) {
			slot->chip->cls->finish(slot->chip);
			opt_free(slot->chip->cls->opts, slot->chip);
			free(slot->chip);
		}
		free(slot->path);
		*slot = (struct slot){ 0 };
	}
}
