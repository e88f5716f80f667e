/* SPDX-License-Identifier: BSD-3-Clause */
/* Verified boot in the monitor: what is asked, and who hears what was measured. */
#include <cJSON.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "cli/monitor.h"
#include "machine/boot_verify.h"

/* One event to the supervisor; `msg` is taken. */
static void tell(const struct monitor *m, cJSON *msg)
{
	char *text = m->args.control_fd < 0 ? NULL : cJSON_PrintUnformatted(msg);

	if (text)
		send(m->args.control_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	cJSON_free(text);
	cJSON_Delete(msg);
}

/* Measured boot without a TPM: the digests go to the event log. */
static int log_measurement(
	void *arg, const char *what, const uint8_t digest[BOOT_DIGEST], struct err *e)
{
	const struct monitor *m = arg;
	cJSON *msg = cJSON_CreateObject();
	char hex[2 * BOOT_DIGEST + 1];

	for (unsigned i = 0; i < BOOT_DIGEST; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	cJSON_AddStringToObject(msg, "event", "measured");
	cJSON_AddStringToObject(msg, "item", what);
	cJSON_AddStringToObject(msg, "sha256", hex);
	tell(m, msg);
	log_debug(&m->log, "measured: %s %s", what, hex);
	return 0;
}

static void refused(struct monitor *m, struct err *e)
{
	cJSON *msg = cJSON_CreateObject();

	m->status = EXIT_REFUSED;
	cJSON_AddStringToObject(msg, "event", "refused");
	cJSON_AddStringToObject(msg, "reason", e->msg);
	tell(m, msg);
	err_prefix(e, "boot refused");
}

int monitor_boot_verify(struct monitor *m, struct err *e)
{
	const struct vm_conf *conf = &m->args.conf;
	const struct boot_policy policy = { .vm = m->args.name,
		.key = conf->verify_key,
		.manifest = conf->manifest,
		.min_version = conf->manifest_version };
	const struct boot_measure measure = { .extend = log_measurement, .arg = m };
	int rc;

	vm_conf_boot_items(conf, &m->boot);
	rc = boot_items_read(&m->boot, e);
	if (!rc)
		rc = boot_verify(&m->boot, &policy, &measure, e);
	if (rc == -EPERM)
		refused(m, e);
	else if (!rc)
		log_info(&m->log, "boot verified by %s", conf->manifest);
	return rc;
}
