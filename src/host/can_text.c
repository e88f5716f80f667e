/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames, log lines and filters as candump and cansend (can-utils) write them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/can_frame.h"

#define FD_FLAGS (CANFD_BRS | CANFD_ESI)

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t can_frame_text(char *buf, size_t size, const struct canfd_frame *f)
{
	bool eff = f->can_id & (CAN_EFF_FLAG | CAN_ERR_FLAG);
	uint32_t id = f->can_id & (CAN_ERR_FLAG | CAN_EFF_MASK);
	size_t n = (size_t)snprintf(buf, size, eff ? "%08" PRIX32 "#" : "%03" PRIX32 "#", id);

	if (can_is_fd(f))
		n += (size_t)snprintf(buf + n, size - n, "#%X", f->flags & FD_FLAGS);
	if (f->can_id & CAN_RTR_FLAG)
		return n + (size_t)snprintf(buf + n, size - n, f->len ? "R%u" : "R", f->len);
	for (unsigned i = 0; i < f->len && n + 3 <= size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%02X", f->data[i]);
	return n;
}

/* Up to '#': three digits are a standard identifier, eight an extended one. */
static const char *parse_id(const char *text, struct canfd_frame *f)
{
	unsigned digits = 0;
	int d;

	for (; digits < 9 && (d = hex_digit(*text)) >= 0; text++, digits++)
		f->can_id = f->can_id << 4 | (uint32_t)d;
	if (*text != '#' || (digits != 3 && digits != 8))
		return NULL;
	if (digits == 8 && f->can_id > (CAN_ERR_FLAG | CAN_EFF_MASK))
		return NULL;
	if (digits == 8 && !(f->can_id & CAN_ERR_FLAG))
		f->can_id |= CAN_EFF_FLAG;
	return text + 1;
}

static const char *parse_data(const char *text, struct canfd_frame *f, unsigned max)
{
	int high, low;

	for (f->len = 0; (high = hex_digit(*text)) >= 0; text += 2) {
		low = hex_digit(text[1]);
		if (low < 0 || f->len == max)
			return NULL;
		f->data[f->len++] = (uint8_t)(high << 4 | low);
		text += text[2] == '.'; /* cansend allows them between bytes */
	}
	return text;
}

static const char *parse_payload(const char *text, struct canfd_frame *f)
{
	if (*text == '#') {
		int flags = hex_digit(text[1]);

		f->flags = (uint8_t)(CANFD_FDF | (flags & FD_FLAGS));
		return flags < 0 ? NULL : parse_data(text + 2, f, CANFD_MAX_DLEN);
	}
	if (*text == 'R' || *text == 'r') {
		f->can_id |= CAN_RTR_FLAG;
		if (text[1] >= '0' && text[1] <= '8')
			f->len = (uint8_t)(*++text - '0');
		return text + 1;
	}
	text = parse_data(text, f, CAN_MAX_DLEN);
	/* A DLC above 8 means 8 bytes all the same. */
	if (text && *text == '_' && f->len == CAN_MAX_DLEN && hex_digit(text[1]) > CAN_MAX_DLEN)
		text += 2;
	return text;
}

int can_frame_parse(const char *text, const char **end, struct canfd_frame *f, struct err *e)
{
	const char *at;

	*f = (struct canfd_frame){ 0 };
	at = parse_id(text, f);
	if (!at)
		return err_set(e, -EINVAL,
			"'%.80s' does not begin with an identifier of 3 or 8 hexadecimal digits "
			"and '#'",
			text);
	at = parse_payload(at, f);
	if (!at || !strchr(" \t\r", *at))
		return err_set(e, -EINVAL,
			"'%.80s' is no frame; right are 123#DEADBEEF, 123#R, 123##0DEADBEEF", text);
	if (can_is_fd(f) && f->len <= CANFD_MAX_DLEN)
		f->len = can_fd_len(f->len);
	if (!(f->can_id & CAN_ERR_FLAG) && !can_frame_valid(f))
		return err_set(
			e, -EINVAL, "'%.80s': an identifier of 3 digits is at most 7FF", text);
	*end = at;
	return 0;
}

size_t can_log_line(
	char buf[CAN_LOG_LINE_MAX], uint64_t ns, const char *name, const struct canfd_frame *f)
{
	uint64_t us = ns / 1000;
	size_t n = (size_t)snprintf(buf, CAN_LOG_LINE_MAX, "(%010" PRIu64 ".%06" PRIu64 ") %.*s ",
		us / 1000000, us % 1000000, (int)CAN_LOG_NAME_MAX, name);

	n += can_frame_text(buf + n, CAN_LOG_LINE_MAX - n - 1, f);
	buf[n++] = '\n';
	return n;
}

/* Filters. */

/* Hexadecimal digits; returns how many, at most 8. */
static unsigned parse_hex(const char **text, uint32_t *value)
{
	unsigned digits = 0;
	int d;

	for (*value = 0; digits < 8 && (d = hex_digit(**text)) >= 0; (*text)++, digits++)
		*value = *value << 4 | (uint32_t)d;
	return digits;
}

static bool parse_filter(const char *text, struct can_filter *f)
{
	unsigned digits = parse_hex(&text, &f->can_id);
	bool invert = *text == '~';

	if (!digits || f->can_id & CAN_INV_FILTER || (*text != ':' && !invert))
		return false;
	text++;
	if (digits == 8)
		f->can_id |= CAN_EFF_FLAG;
	if (invert)
		f->can_id |= CAN_INV_FILTER;
	return parse_hex(&text, &f->can_mask) && !*text;
}

int can_filters_parse(
	struct can_filters *f, const struct opt_list *words, const char *key, struct err *e)
{
	if (words->n > CAN_FILTERS_MAX)
		return err_set(e, -EINVAL, "%s: %u filters, at most %u are allowed", key, words->n,
			CAN_FILTERS_MAX);
	for (f->n = 0; f->n < words->n; f->n++)
		if (!parse_filter(words->v[f->n], &f->v[f->n]))
			return err_set(e, -EINVAL,
				"%s: '%.40s' is no filter; right are ID:MASK and ID~MASK in "
				"hexadecimal, as 123:7FF",
				key, words->v[f->n]);
	return 0;
}

bool can_filters_pass(const struct can_filters *f, uint32_t can_id)
{
	for (unsigned i = 0; i < f->n; i++) {
		uint32_t differ = (can_id ^ f->v[i].can_id) & f->v[i].can_mask & ~CAN_INV_FILTER;

		if (!differ != !!(f->v[i].can_id & CAN_INV_FILTER))
			return true;
	}
	return !f->n;
}
