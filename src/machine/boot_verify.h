/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verified and measured boot (docs/verified-boot.md): nothing of a guest is loaded before all items
 * of its boot were found in a manifest with a good signature. The check is made by a process of its
 * own, avp-verify, on the sealed copies that are then loaded.
 */
#pragma once

#include "machine/boot_items.h"

#define BOOT_DIGEST 32u /* bytes of SHA-256 */

/* Who is trusted, and for what. */
struct boot_policy {
	const char *vm;	      /* the name that the manifest must be for */
	const char *key;      /* path of a public key, Ed25519 in PEM */
	const char *manifest; /* path */
	uint64_t min_version; /* of the manifest: older ones are refused */
};

/* Who is told what was measured: today the event log, with a TPM its registers. */
struct boot_measure {
	/* Called for each item in the order of boot, after all were verified and before the guest
	 * runs. A failure ends the start. */
	int (*extend)(
		void *arg, const char *what, const uint8_t digest[BOOT_DIGEST], struct err *e);
	void *arg;
};

/*
 * Checks `items`, which have been read. -EPERM, with the reason, if they are not to be trusted;
 * other errors: it could not be checked. Waits for a process, which takes a few milliseconds and
 * what SHA-256 takes.
 */
int boot_verify(const struct boot_items *items, const struct boot_policy *policy,
	const struct boot_measure *measure, struct err *e);

/* Signs `items`, which have been read: the manifest's text, owned by the caller. `key` is the path
 * of the private key. */
int boot_sign(const struct boot_items *items, const char *vm, uint64_t version, const char *key,
	char **manifest, struct err *e);
