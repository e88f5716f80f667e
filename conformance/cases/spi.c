/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SPI controller device (VIRTIO 1.4, 5.21). The fact "loopback" is a chip select where what is
 * sent comes back; without it only what does not depend on chips is judged.
 */
#include "drivers/spi.h"
#include "conformance/cases/cases.h"

#define FRESH	 0xa5
#define HEAD	 sizeof(struct drv_spi_head)
#define DATA_MAX 4096u
#define FLIGHT	 16u /* requests at once; each takes up to four descriptors */

/* mode_func_supported (5.21.4). */
#define FUNC_CPHA_0    0x01u
#define FUNC_CPHA_1    0x02u
#define FUNC_CPOL_0    0x04u
#define FUNC_CPOL_1    0x08u
#define FUNC_CS_HIGH   0x10u
#define FUNC_LSB_FIRST 0x20u
#define FUNC_LOOP      0x40u
#define FUNC_ALL       0x7fu

struct spi {
	struct cf *c;
	struct drv_queue *q;
	struct drv_spi_config config;
	struct drv_spi_head *head; /* of the next transfers */
	uint8_t *tx, *rx, *result; /* guarded; DATA_MAX bytes of data each way */
	bool has_loopback;
};

static bool read_config(struct cf *c, struct drv_spi_config *config)
{
	return cf_check(c, !drv_config(cf_dev(c), 0, config, sizeof(*config)),
		"the configuration cannot be read");
}

/* A head that the device supports, whatever it is. */
static void plain_head(const struct spi *s, struct drv_spi_head *h, uint8_t cs)
{
	uint32_t words = s->config.bits_per_word_mask;

	*h = (struct drv_spi_head){ .chip_select_id = cs, .bits_per_word = 8 };
	if (words && !(words & 0x80))
		h->bits_per_word = (uint8_t)(__builtin_ctz(words) + 1);
	if (!(s->config.mode_func_supported & FUNC_CPHA_0))
		h->mode |= VIRTIO_SPI_MODE_CPHA;
	if (!(s->config.mode_func_supported & FUNC_CPOL_0))
		h->mode |= VIRTIO_SPI_MODE_CPOL;
	h->freq = s->config.max_freq_hz ? s->config.max_freq_hz : 1000000;
	h->cs_change = s->config.cs_change_supported;
}

static bool up(struct spi *s, struct cf *c)
{
	const char *text = cf_fact(c, "loopback");
	uint64_t cs = 0;

	*s = (struct spi){ .c = c, .q = cf_up(c, 0, 1), .has_loopback = text };
	if (!s->q || !read_config(c, &s->config) ||
		(text && !cf_check(c, cf_number(text, &cs) && cs < s->config.cs_max_number,
				 "fact loopback: no chip select: %s", text)))
		return false;
	s->head = cf_buf(c, HEAD);
	s->tx = cf_buf(c, DATA_MAX);
	s->rx = cf_buf(c, DATA_MAX);
	s->result = cf_buf(c, 1);
	if (!s->head || !s->tx || !s->rx || !s->result)
		return false;
	plain_head(s, s->head, (uint8_t)cs);
	return true;
}

/* The same where a loopback is needed, with words of 8 bits. */
static bool up_loopback(struct spi *s, struct cf *c)
{
	if (!up(s, c))
		return false;
	if (!s->has_loopback)
		cf_skip(c, "no fact 'loopback' says where data come back");
	else if (s->head->bits_per_word != 8)
		cf_skip(c, "words of 8 bits are not supported");
	return s->has_loopback && s->head->bits_per_word == 8;
}

/* One request with these lengths of tx_buf and rx_buf; the result. */
static bool transfer(struct spi *s, uint32_t tx_len, uint32_t rx_len, uint8_t *result)
{
	struct drv_sg sg[4];
	unsigned n = 0, n_out;
	uint32_t used;

	*s->result = FRESH;
	cf_fill(s->rx, FRESH, DATA_MAX);
	sg[n++] = cf_sg(s->c, s->head, HEAD);
	if (tx_len)
		sg[n++] = cf_sg(s->c, s->tx, tx_len);
	n_out = n;
	if (rx_len)
		sg[n++] = cf_sg(s->c, s->rx, rx_len);
	sg[n++] = cf_sg(s->c, s->result, 1);
	if (!cf_submit(s->c, s->q, sg, n_out, n - n_out, s) || !cf_used(s->c, s->q, NULL, &used) ||
		!cf_check(s->c, *s->result <= VIRTIO_SPI_TRANS_ERR,
			"the result is %u, there are 0 to 2", *s->result) ||
		!cf_check(s->c, used <= rx_len + 1, "the used length is %u of %u", used,
			rx_len + 1) ||
		!cf_check(s->c, cf_filled(s->rx + rx_len, FRESH, DATA_MAX - rx_len),
			"the device wrote behind rx_buf"))
		return false;
	*result = *s->result;
	return *result != VIRTIO_SPI_TRANS_OK || cf_eq(s->c, used, rx_len + 1, "the used length");
}

static bool result_is(
	struct spi *s, uint32_t tx_len, uint32_t rx_len, uint8_t want, const char *what)
{
	uint8_t result;

	return transfer(s, tx_len, rx_len, &result) &&
	       cf_check(s->c, result == want, "%s: the result is %u, must be %u", what, result,
		       want);
}

static bool is_ok(struct spi *s, uint32_t tx_len, uint32_t rx_len)
{
	return result_is(s, tx_len, rx_len, VIRTIO_SPI_TRANS_OK, "a valid transfer");
}

/* Configuration. */

/* All fields are there from the start, and stay. */
static void config_set(struct cf *c)
{
	struct drv_spi_config before, after;
	uint32_t func;

	if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset") ||
		!read_config(c, &before))
		return;
	func = before.mode_func_supported;
	cf_check(c, before.cs_max_number, "cs_max_number is 0");
	cf_check(c, before.cs_change_supported <= 1, "cs_change_supported is %u",
		before.cs_change_supported);
	cf_check(c, !((before.tx_nbits_supported | before.rx_nbits_supported) & ~7u),
		"reserved bits of nbits_supported are set: 0x%x, 0x%x", before.tx_nbits_supported,
		before.rx_nbits_supported);
	cf_check(c, func & (FUNC_CPHA_0 | FUNC_CPHA_1) && func & (FUNC_CPOL_0 | FUNC_CPOL_1),
		"mode_func_supported 0x%x has no value of CPHA or CPOL", func);
	cf_check(c, !(func & ~FUNC_ALL), "mode_func_supported 0x%x has reserved bits", func);
	if (cf_up(c, 0, 1) && read_config(c, &after))
		cf_check(c, cf_same(&before, &after, sizeof(before)),
			"the configuration changed with DRIVER_OK");
}

/* What is written to it changes nothing: all is read-only. */
static void config_readonly(struct cf *c)
{
	struct drv_spi_config before, after;
	struct drv_dev *dev = cf_dev(c);

	if (!cf_up(c, 0, 1) || !read_config(c, &before))
		return;
	for (uint32_t at = 0; at < sizeof(before); at += 4) {
		uint32_t v = 0x5a5a5a5a;

		dev->ops->config_write(dev, at, &v, 4);
		if (cf_hung_up(c) || cf_failed(c))
			return;
	}
	if (read_config(c, &after))
		cf_check(c, cf_same(&before, &after, sizeof(before)),
			"a write changed the configuration");
}

/* Transfers. */

static void echoes(struct cf *c)
{
	static const uint16_t lens[] = { 1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 64, 255, 256, 257, 1000,
		4095, 4096 };
	struct spi s;

	if (!up_loopback(&s, c))
		return;
	for (unsigned i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		cf_pattern(s.tx, i, lens[i]);
		if (!is_ok(&s, lens[i], lens[i]) ||
			!cf_check(c, cf_is_pattern(s.rx, i, lens[i]),
				"%u bytes came back that were not sent", lens[i]) ||
			!cf_check(c, cf_is_pattern(s.tx, i, lens[i]), "tx_buf was changed"))
			return;
	}
}

static void half_duplex(struct cf *c)
{
	struct spi s;

	if (!up_loopback(&s, c))
		return;
	cf_pattern(s.tx, 5, 64);
	if (!is_ok(&s, 64, 0) || !is_ok(&s, 0, 64) ||
		!cf_check(c, !cf_filled(s.rx, FRESH, 64), "rx_buf was not filled"))
		return;
	cf_check(c, cf_is_pattern(s.tx, 5, 64), "tx_buf was changed");
}

/* Head, data and result in elements of odd lengths (2.7.4.1). */
static void pieces(struct cf *c)
{
	static const uint8_t cuts[] = { 1, 13, 18 };
	struct drv_sg sg[8];
	unsigned n = 0;
	uint32_t at = 0, used;
	struct spi s;

	if (!up_loopback(&s, c))
		return;
	cf_pattern(s.tx, 77, 10);
	for (unsigned i = 0; i < sizeof(cuts); at += cuts[i++])
		sg[n++] = cf_sg(c, (uint8_t *)s.head + at, cuts[i]);
	sg[n++] = cf_sg(c, s.tx, 3);
	sg[n++] = cf_sg(c, s.tx + 3, 7);
	sg[n++] = cf_sg(c, s.rx, 9);
	sg[n++] = cf_sg(c, s.rx + 9, 1);
	sg[n++] = cf_sg(c, s.result, 1);
	if (cf_submit(c, s.q, sg, 5, 3, &s) && cf_used(c, s.q, NULL, &used) &&
		cf_eq(c, used, 11, "the used length") &&
		cf_eq(c, *s.result, VIRTIO_SPI_TRANS_OK, "the result"))
		cf_check(c, cf_is_pattern(s.rx, 77, 10), "what came back was not sent");
}

/* Whatever is said to be supported is accepted. */
static void supported(struct cf *c)
{
	struct drv_spi_head plain;
	struct spi s;

	if (!up_loopback(&s, c))
		return;
	plain = *s.head;
	for (unsigned bits = 1; bits <= 32; bits++)
		if (!s.config.bits_per_word_mask || s.config.bits_per_word_mask >> (bits - 1) & 1) {
			s.head->bits_per_word = (uint8_t)bits;
			if (!is_ok(&s, 8, 8))
				return;
		}
	for (uint32_t mode = 0; mode < 32; mode++) {
		uint32_t func = s.config.mode_func_supported;

		*s.head = plain;
		s.head->mode = mode;
		if ((mode & VIRTIO_SPI_MODE_CPHA ? func & FUNC_CPHA_1 : func & FUNC_CPHA_0) &&
			(mode & VIRTIO_SPI_MODE_CPOL ? func & FUNC_CPOL_1 : func & FUNC_CPOL_0) &&
			!(mode >> 2 & ~(func >> 4)) && !is_ok(&s, 8, 8))
			return;
	}
	*s.head = plain;
	for (unsigned k = 0; k < 3; k++) {
		*s.head = plain;
		s.head->tx_nbits = s.config.tx_nbits_supported >> k & 1 ? (uint8_t)(2u << k) : 1;
		s.head->rx_nbits = s.config.rx_nbits_supported >> k & 1 ? (uint8_t)(2u << k) : 1;
		if (!is_ok(&s, 8, 8))
			return;
	}
	*s.head = plain;
	/* At most a millisecond each, so that it does not take long. */
	s.head->word_delay_ns =
		s.config.max_word_delay_ns < 1000000 ? s.config.max_word_delay_ns : 1000000;
	s.head->cs_setup_ns =
		s.config.max_cs_setup_ns < 1000000 ? s.config.max_cs_setup_ns : 1000000;
	s.head->cs_delay_hold_ns =
		s.config.max_cs_hold_ns < 1000000 ? s.config.max_cs_hold_ns : 1000000;
	s.head->cs_change_delay_inactive_ns =
		s.config.max_cs_inactive_ns < 1000000 ? s.config.max_cs_inactive_ns : 1000000;
	is_ok(&s, 4, 4);
}

static void in_flight(struct cf *c)
{
	uint8_t *result[FLIGHT], *rx[FLIGHT], *tx[FLIGHT];
	struct spi s;

	if (!up_loopback(&s, c))
		return;
	for (unsigned i = 0; i < FLIGHT; i++) {
		struct drv_sg sg[4];

		result[i] = cf_buf(c, 1);
		rx[i] = cf_buf(c, 16);
		tx[i] = cf_buf(c, 16);
		if (!result[i] || !rx[i] || !tx[i])
			return;
		cf_pattern(tx[i], i, 16);
		sg[0] = cf_sg(c, s.head, HEAD);
		sg[1] = cf_sg(c, tx[i], 16);
		sg[2] = cf_sg(c, rx[i], 16);
		sg[3] = cf_sg(c, result[i], 1);
		if (!cf_submit(c, s.q, sg, 2, 2, rx[i]))
			return;
	}
	for (unsigned i = 0; i < FLIGHT; i++)
		if (!cf_used(c, s.q, NULL, NULL))
			return;
	for (unsigned i = 0; i < FLIGHT; i++)
		if (!cf_eq(c, *result[i], VIRTIO_SPI_TRANS_OK, "the result") ||
			!cf_check(c, cf_is_pattern(rx[i], i, 16), "request %u got other data", i))
			return;
}

/* Wrong parameters (5.21.6.4). */

/* Of a field of a byte: all small values, and those where something may wrap. */
static const uint8_t bytes[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
	19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 40, 63, 64, 65, 127, 128, 129,
	160, 192, 254, 255 };

/* Each field in turn has values that the device does not support. */
static bool refused(struct spi *s, const char *what)
{
	return result_is(s, 8, 8, VIRTIO_SPI_PARAM_ERR, what) &&
	       result_is(s, 8, 0, VIRTIO_SPI_PARAM_ERR, what);
}

static void wrong_words(struct cf *c)
{
	struct spi s;

	if (!up(&s, c))
		return;
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		uint32_t mask = s.config.bits_per_word_mask;
		unsigned bits = bytes[i];

		if (bits && bits <= 32 && (!mask || mask >> (bits - 1) & 1))
			continue;
		if (!mask && bits > 32) /* "no limitation" may be meant so */
			break;
		s.head->bits_per_word = (uint8_t)bits;
		if (!refused(&s, "bits_per_word"))
			return;
	}
}

static void wrong_select(struct cf *c)
{
	struct spi s;

	if (!up(&s, c))
		return;
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		s.head->chip_select_id = bytes[i];
		if (bytes[i] >= s.config.cs_max_number && !refused(&s, "chip_select_id"))
			return;
	}
}

static void wrong_cs_change(struct cf *c)
{
	struct spi s;

	if (!up(&s, c))
		return;
	if (s.config.cs_change_supported) {
		cf_skip(c, "cs_change is supported");
		return;
	}
	s.head->cs_change = 1;
	refused(&s, "cs_change");
}

static bool nbits_supported(unsigned nbits, uint8_t supported)
{
	return nbits <= 1 || (nbits <= 8 && !(nbits & (nbits - 1)) && supported & nbits >> 1);
}

static void wrong_nbits(struct cf *c)
{
	struct drv_spi_head plain;
	struct spi s;

	if (!up(&s, c))
		return;
	plain = *s.head;
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		uint8_t n = bytes[i];

		*s.head = plain;
		s.head->tx_nbits = n;
		if (!nbits_supported(n, s.config.tx_nbits_supported) && !refused(&s, "tx_nbits"))
			return;
		*s.head = plain;
		s.head->rx_nbits = n;
		if (!nbits_supported(n, s.config.rx_nbits_supported) && !refused(&s, "rx_nbits"))
			return;
	}
}

static void wrong_mode(struct cf *c)
{
	struct spi s;
	uint32_t func, plain;

	if (!up(&s, c))
		return;
	func = s.config.mode_func_supported;
	plain = s.head->mode;
	for (unsigned bit = 0; bit < 32; bit++) {
		bool fits = bit >= 2 && bit <= 4 && func >> (bit + 2) & 1;

		if (fits || (bit == 0 && func & FUNC_CPHA_1) || (bit == 1 && func & FUNC_CPOL_1))
			continue;
		s.head->mode = plain | UINT32_C(1) << bit;
		if (!refused(&s, "mode"))
			return;
	}
}

static void wrong_frequency(struct cf *c)
{
	struct spi s;

	if (!up(&s, c))
		return;
	if (!s.config.max_freq_hz || s.config.max_freq_hz == UINT32_MAX) {
		cf_skip(c, "there is no limit");
		return;
	}
	s.head->freq = s.config.max_freq_hz + 1;
	if (refused(&s, "freq")) {
		s.head->freq = UINT32_MAX;
		refused(&s, "freq");
	}
}

static void wrong_delays(struct cf *c)
{
	struct drv_spi_head plain;
	struct spi s;

	if (!up(&s, c))
		return;
	plain = *s.head;
	for (unsigned k = 0; k < 4; k++) {
		uint32_t max = k == 0	? s.config.max_word_delay_ns
			       : k == 1 ? s.config.max_cs_setup_ns
			       : k == 2 ? s.config.max_cs_hold_ns
					: s.config.max_cs_inactive_ns;

		*s.head = plain;
		s.head->word_delay_ns = k == 0 ? max + 1 : 0;
		s.head->cs_setup_ns = k == 1 ? max + 1 : 0;
		s.head->cs_delay_hold_ns = k == 2 ? max + 1 : 0;
		s.head->cs_change_delay_inactive_ns = k == 3 ? max + 1 : 0;
		if (max != UINT32_MAX && !refused(&s, "a delay"))
			return;
	}
}

/* Both buffers, of two lengths. */
static void wrong_lengths(struct cf *c)
{
	static const uint16_t lens[] = { 1, 2, 4, 8, 64, 4096 };
	struct spi s;

	if (!up(&s, c))
		return;
	cf_pattern(s.tx, 1, DATA_MAX);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < 6; k++)
			if (i != k && !result_is(&s, lens[i], lens[k], VIRTIO_SPI_PARAM_ERR,
					      "buffers of two lengths"))
				return;
	cf_check(c, cf_is_pattern(s.tx, 1, DATA_MAX), "tx_buf was changed");
	cf_must_go_on(c, s.q);
}

/* Load. */

static bool launch(struct spi *s, uint8_t *results)
{
	for (unsigned i = 0; i < FLIGHT; i++) {
		struct drv_sg sg[3] = { cf_sg(s->c, s->head, HEAD), cf_sg(s->c, s->tx, 64),
			cf_sg(s->c, results + i, 1) };

		results[i] = FRESH;
		if (!cf_submit(s->c, s->q, sg, 2, 1, results + i))
			return false;
	}
	return true;
}

static void reset_under_load(struct cf *c)
{
	uint8_t *results = cf_buf(c, FLIGHT);
	struct spi s;

	if (!results || !up(&s, c))
		return;
	for (unsigned round = 0; round < 8; round++) {
		if (!launch(&s, results) ||
			!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		cf_fill(results, 0x77, FLIGHT);
		s.q = cf_up(c, 0, 1);
		if (!s.q || !cf_probe_works(c, s.q) ||
			!cf_check(c, cf_filled(results, 0x77, FLIGHT),
				"a result of before the reset was written after it"))
			return;
	}
}

static void killed(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	uint8_t *results = cf_buf(c, FLIGHT);
	struct spi s;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!results || !up(&s, c))
		return;
	for (unsigned round = 0; round < 4; round++) {
		if (!launch(&s, results) ||
			!cf_check(c, t->kill(t), "the back-end cannot be replaced"))
			return;
		for (unsigned i = 0; i < FLIGHT; i++)
			if (!cf_used(c, s.q, NULL, NULL))
				return;
		for (unsigned i = 0; i < FLIGHT; i++)
			if (!cf_check(
				    c, results[i] <= VIRTIO_SPI_TRANS_ERR, "no result was written"))
				return;
	}
}

/* Malformed requests. */

static void short_head(struct cf *c)
{
	uint32_t used;
	struct spi s;

	if (!up(&s, c))
		return;
	for (uint32_t len = 0; len < HEAD; len++) {
		*s.result = FRESH;
		if (!cf_do_len(c, s.q, len ? s.head : NULL, len, s.result, 1, &used) ||
			!cf_eq(c, *s.result, VIRTIO_SPI_PARAM_ERR, "the result"))
			return;
	}
	cf_must_go_on(c, s.q);
}

static void no_result(struct cf *c)
{
	struct drv_sg sg[2];
	struct spi s;

	if (!up(&s, c))
		return;
	sg[0] = cf_sg(c, s.head, HEAD);
	sg[1] = cf_sg(c, s.tx, 8);
	if (cf_submit(c, s.q, sg, 2, 0, &s))
		cf_must_break(c, s.q);
}

const struct cf_case cf_cases_spi[] = {
	{ "spi.config.set", "V5.21.6.4-1", config_set, DRV_ID_SPI },
	{ "spi.config.readonly", "ROB-16", config_readonly, DRV_ID_SPI },
	{ "spi.transfer.echoes", "V5.21.6.4-2 ROB-8", echoes, DRV_ID_SPI, .flags = CF_RINGS },
	{ "spi.transfer.half_duplex", "V5.21.6.4-2 ROB-8", half_duplex, DRV_ID_SPI,
		.flags = CF_RINGS },
	{ "spi.transfer.pieces", "V2.7.4.1-1", pieces, DRV_ID_SPI, .flags = CF_RINGS },
	{ "spi.transfer.in_flight", "ROB-7", in_flight, DRV_ID_SPI, .flags = CF_RINGS },
	{ "spi.param.supported", "V5.21.6.4-3", supported, DRV_ID_SPI },
	{ "spi.param.words", "V5.21.6.4-3", wrong_words, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.select", "V5.21.6.4-3", wrong_select, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.cs_change", "V5.21.6.4-3", wrong_cs_change, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.nbits", "V5.21.6.4-3", wrong_nbits, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.mode", "V5.21.6.4-3", wrong_mode, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.frequency", "V5.21.6.4-3", wrong_frequency, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.delays", "V5.21.6.4-3", wrong_delays, DRV_ID_SPI, .flags = CF_HOSTILE },
	{ "spi.param.lengths", "V5.21.6.4-4 V5.21.6.4-5", wrong_lengths, DRV_ID_SPI,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "spi.load.reset", "ROB-18", reset_under_load, DRV_ID_SPI, .flags = CF_RINGS },
	{ "spi.kill.in_flight", "ROB-7", killed, DRV_ID_SPI, .flags = CF_RINGS },
	{ "spi.malformed.head", "ROB-10", short_head, DRV_ID_SPI, .flags = CF_HOSTILE | CF_RINGS },
	{ "spi.malformed.no_result", "ROB-11", no_result, DRV_ID_SPI,
		.flags = CF_HOSTILE | CF_RINGS },
	{ 0 },
};
