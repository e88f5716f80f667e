/* SPDX-License-Identifier: BSD-3-Clause */
/* A jailed process as the rest of the computer sees it. */
#pragma once

#include "jails/place.h"
#include "tap.h"

struct seen {
	pid_t pid;
	const struct place *place;
	bool folder; /* it still reaches place->folder */
	bool nobody; /* a plain user started it */
};

/* Rights, user, namespaces, root and descriptors; but for the first, only root sees them. */
void look(struct tap *t, const struct seen *s);
