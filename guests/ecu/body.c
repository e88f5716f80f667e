/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A body controller on bare metal: asks the platform (SCMI) to be told of each new speed and
 * coolant temperature, sends them on its CAN bus with the time of their measurement, and switches
 * the brake lamp (GPIO). When the car has stood for a while after the drive it says so, and
 * switches off.
 */
#include "drivers/gpio.h"
#include "drivers/scmi.h"
#include "guests/ecu/signals.h"

#define LIMIT	 (10 * SECOND) /* for anything that a device is asked */
#define STANDING (2 * SECOND)  /* without anything new: the drive is over */
#define WAITING	 (60 * SECOND) /* ... if it has not begun */
#define MOVING	 100	       /* 0.01 m/s */

/* SCMI 4.7. */
#define SENSOR_DESCRIPTION_GET		0x3
#define SENSOR_CONTINUOUS_UPDATE_NOTIFY 0xb
#define SENSOR_UPDATE			0x1
#define DESC_WORDS			13u /* of a scalar sensor */
#define DESC_NAME			3u  /* words before its name */
#define NAME_LEN			16u
#define SENSORS_MAX			32u

/* A signal that comes from a sensor. */
struct source {
	const char *name;
	uint32_t can_id, sensor, number;
};

static struct body {
	struct bare_virtio_list devices;
	struct teller teller;
	struct drv_scmi scmi;
	struct drv_can can;
	struct drv_gpio gpio;
	uint16_t lamp;
	int64_t speed;
	bool moved, braking;
} body;

static struct source sources[] = { { "speed", SIGNAL_SPEED, 0, 0 },
	{ "coolant", SIGNAL_COOLANT, 0, 0 } };

#define SOURCES (sizeof(sources) / sizeof(*sources))

static bool same(const char *a, const char *b)
{
	unsigned i = 0;

	while (i < NAME_LEN && a[i] && a[i] == b[i])
		i++;
	return i == NAME_LEN || a[i] == b[i];
}

/* Finds a sensor by its name, one description at a time. */
static int find_sensor(struct body *b, struct source *s)
{
	for (uint32_t i = 0; i < SENSORS_MAX; i++) {
		uint32_t ret[DRV_SCMI_WORDS];
		char name[NAME_LEN + 1] = "";
		int r = drv_scmi_do(&b->scmi, DRV_SCMI_SENSOR, SENSOR_DESCRIPTION_GET, &i, 1, ret,
			DRV_SCMI_WORDS, bare_time() + LIMIT);

		if (r)
			return r;
		__builtin_memcpy(name, &ret[1 + DESC_NAME], NAME_LEN);
		s->sensor = ret[1];
		if (same(name, s->name))
			return 0;
	}
	return DRV_GONE;
}

static int open_sensors(struct body *b)
{
	struct bare_virtio *v = bare_virtio_get(&b->devices, DRV_ID_SCMI, 0);
	int r = v ? drv_scmi_open(&b->scmi, v->dev) : DRV_GONE;

	for (unsigned i = 0; !r && i < SOURCES; i++)
		r = find_sensor(b, &sources[i]);
	for (unsigned i = 0; !r && i < SOURCES; i++) {
		const uint32_t on[] = { sources[i].sensor, 1 };

		r = drv_scmi_do(&b->scmi, DRV_SCMI_SENSOR, SENSOR_CONTINUOUS_UPDATE_NOTIFY, on, 2,
			NULL, 0, bare_time() + LIMIT);
	}
	return r;
}

static int open_lamp(struct body *b)
{
	struct bare_virtio *v = bare_virtio_get(&b->devices, DRV_ID_GPIO, 0);
	int r = v ? drv_gpio_open(&b->gpio, v->dev) : DRV_GONE;

	if (!r)
		r = drv_gpio_find(&b->gpio, "brake", &b->lamp);
	return r ? r : drv_gpio_output(&b->gpio, b->lamp, false);
}

static int send(struct body *b, uint32_t id, const struct signal *s)
{
	struct drv_can_frame f = { .id = id, .flags = VIRTIO_CAN_FLAGS_FD, .len = sizeof(*s) };

	__builtin_memcpy(f.data, s, sizeof(*s));
	return drv_can_send(&b->can, &f, bare_time() + LIMIT);
}

/* The lamp is on while the car gets slower. */
static int brake(struct body *b, int64_t speed)
{
	bool slower = speed < b->speed || (speed == b->speed && b->braking);
	bool braking = speed && slower;

	b->moved |= speed > MOVING;
	b->speed = speed;
	if (braking == b->braking)
		return 0;
	b->braking = braking;
	return drv_gpio_set(&b->gpio, b->lamp, braking);
}

/* SENSOR_UPDATE: agent, sensor, value and time stamp of 64 bits each. */
static int update(struct body *b, const struct drv_scmi_event *e)
{
	struct signal s = { .value = (int32_t)e->word[2] };
	int r = 0;

	if (e->protocol != DRV_SCMI_SENSOR || e->type != DRV_SCMI_NOTIFICATION ||
		e->message != SENSOR_UPDATE || e->n < 6)
		return 0;
	s.time = (uint64_t)e->word[5] << 32 | e->word[4];
	for (unsigned i = 0; !r && i < SOURCES; i++) {
		if (sources[i].sensor != e->word[1])
			continue;
		s.number = sources[i].number++;
		r = send(b, sources[i].can_id, &s);
		if (!r && i == 0)
			r = brake(b, s.value);
	}
	return r;
}

static int drive(struct body *b)
{
	struct drv_scmi_event e;
	int r;

	do {
		uint64_t patience = b->moved && !b->speed ? STANDING : WAITING;

		r = drv_scmi_event(&b->scmi, &e, bare_time() + patience);
		if (!r)
			r = update(b, &e);
	} while (!r);
	if (r != DRV_TIMEOUT || !b->moved || b->speed)
		return r;
	r = send(b, SIGNAL_END, &(struct signal){ 0 });
	return r ? r : drv_can_sync(&b->can, bare_time() + LIMIT);
}

int bare_main(struct bare_info *info)
{
	struct body *b = &body;
	int r;

	teller_open(&b->teller, "body", info, &b->devices);
	r = open_lamp(b);
	if (r)
		return failed(&b->teller, "opening the brake lamp", r);
	r = open_can(&b->can, &b->devices, 0);
	if (r)
		return failed(&b->teller, "joining the CAN bus", r);
	r = open_sensors(b);
	if (r)
		return failed(&b->teller, "finding the sensors", r);
	tell(&b->teller, "ready");
	r = drive(b);
	if (r)
		return failed(&b->teller, "the drive", r);
	tell(&b->teller, "drive over, sent %u of speed, %u of coolant", (uint64_t)sources[0].number,
		(uint64_t)sources[1].number);
	return 0;
}
