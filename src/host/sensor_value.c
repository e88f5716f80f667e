/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of sensors as text, and the names of units. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host/sensor.h"

/* Digits of an int64_t, and what a number in text may have. */
#define DIGITS_MAX 19u
#define NUMBER_MAX 64u

/* Numbers of DSP0249, as SCMI uses them. */
static const struct {
	uint8_t unit;
	const char *name;
} units[] = {
	{ 0, "none" },
	{ 1, "unspecified" },
	{ 2, "celsius" },
	{ 3, "fahrenheit" },
	{ 4, "kelvin" },
	{ 5, "volt" },
	{ 6, "ampere" },
	{ 7, "watt" },
	{ 8, "joule" },
	{ 9, "coulomb" },
	{ 10, "volt-ampere" },
	{ 11, "nit" },
	{ 12, "lumen" },
	{ 13, "lux" },
	{ 14, "candela" },
	{ 15, "kilopascal" },
	{ 16, "psi" },
	{ 17, "newton" },
	{ 19, "rpm" },
	{ 20, "hertz" },
	{ 21, "second" },
	{ 22, "minute" },
	{ 23, "hour" },
	{ 31, "meter" },
	{ 33, "cubic-meter" },
	{ 34, "liter" },
	{ 36, "radian" },
	{ 38, "revolution" },
	{ 40, "gravity" },
	{ 45, "gauss" },
	{ 49, "ohm" },
	{ 53, "ppm" },
	{ 54, "decibel" },
	{ 65, "percent" },
	{ 66, "pascal" },
	{ 67, "count" },
	{ 68, "gram" },
	{ 69, "newton-meter" },
	{ 87, "radian-per-second" },
	{ 88, "beat-per-minute" },
	{ 89, "meter-per-second-squared" },
	{ 90, "meter-per-second" },
	{ 91, "cubic-meter-per-second" },
	{ 93, "radian-per-second-squared" },
	{ 255, "oem" },
};

const char *sensor_unit_word(unsigned i)
{
	return i < ARRAY_LEN(units) ? units[i].name : NULL;
}

const char *sensor_unit_name(uint8_t unit)
{
	for (unsigned i = 0; i < ARRAY_LEN(units); i++)
		if (units[i].unit == unit)
			return units[i].name;
	return NULL;
}

int sensor_parse_unit(const char *text, uint8_t *unit)
{
	char *end;
	unsigned long v;

	for (unsigned i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(units[i].name, text))
			continue;
		*unit = units[i].unit;
		return 0;
	}
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	v = strtoul(text, &end, 10);
	if (*end || v > SENSOR_UNIT_MAX)
		return -EINVAL;
	*unit = (uint8_t)v;
	return 0;
}

/* The digits of a decimal number without its point and leading zeros, and how many of them are
 * behind the point. */
struct decimal {
	bool negative;
	char digits[NUMBER_MAX];
	int n, fraction;
};

/* Returns what follows the number, or NULL if there is none or it is too long. */
static const char *read_decimal(const char *text, struct decimal *d)
{
	bool point = false, any = false;

	*d = (struct decimal){ .negative = *text == '-' };
	if (*text == '-' || *text == '+')
		text++;
	for (;; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (!isdigit((unsigned char)*text))
			return any ? text : NULL;
		any = true;
		d->fraction += point;
		if (!d->n && *text == '0')
			continue;
		if (d->n == NUMBER_MAX)
			return NULL;
		d->digits[d->n++] = *text;
	}
}

int sensor_parse_value(const char *text, int exponent, int64_t *v, const char **end)
{
	struct decimal d;
	uint64_t sum = 0;
	int keep;

	*end = read_decimal(text, &d);
	if (!*end)
		return -EINVAL;
	/* So many of the digits are units of 10^exponent and above. */
	keep = d.n - d.fraction - exponent;
	if (d.n && keep > (int)DIGITS_MAX)
		return -ERANGE;
	for (int i = 0; d.n && i < keep; i++)
		sum = sum * 10 + (i < d.n ? (uint64_t)(d.digits[i] - '0') : 0);
	if (keep >= 0 && keep < d.n && d.digits[keep] >= '5')
		sum++;
	if (sum > INT64_MAX)
		return -ERANGE;
	*v = d.negative ? -(int64_t)sum : (int64_t)sum;
	return 0;
}

int sensor_parse_values(const char *text, int exponent, unsigned n, int64_t *v)
{
	for (unsigned i = 0; i < n; i++) {
		int ret = sensor_parse_value(text, exponent, &v[i], &text);

		if (ret)
			return ret;
		if (*text++ != (i + 1 < n ? '/' : 0))
			return -EINVAL;
	}
	return 0;
}

void sensor_print_value(FILE *f, int64_t v, int exponent)
{
	uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char digits[DIGITS_MAX + 2];
	int len, point;

	len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)magnitude);
	if (v < 0)
		fputc('-', f);
	if (exponent >= 0) {
		fprintf(f, "%s%.*s", digits, v ? exponent : 0, "0000000000000000");
		return;
	}
	point = len + exponent;
	if (point > 0)
		fprintf(f, "%.*s.%s", point, digits, digits + point);
	else
		fprintf(f, "0.%.*s%s", -point, "0000000000000000", digits);
}

int sensor_scale(double v, int exponent, int64_t *out)
{
	v = round(v * pow(10, -exponent));
	/* 2^63 is a double, the greatest int64_t is none. */
	if (!(v >= -0x1p63 && v < 0x1p63))
		return -ERANGE;
	*out = (int64_t)v;
	return 0;
}
