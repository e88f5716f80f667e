/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of ACPI machine language (ACPI 6.5, chapter 20), as much as a board description needs.
 * Writing past the end sets `full` and drops the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t cap, len;
	bool full;
};

void aml_bytes(struct aml *a, const void *data, size_t len);
void aml_byte(struct aml *a, uint8_t v);

/* Things with a length: begin returns a mark for end. Names are four characters, or "\\_SB_". */
size_t aml_scope(struct aml *a, const char *name);
size_t aml_device(struct aml *a, const char *name);
size_t aml_package(struct aml *a, uint8_t elements);
/* Name(_CRS, ResourceTemplate) */
size_t aml_crs(struct aml *a);
void aml_crs_end(struct aml *a, size_t mark);
void aml_end(struct aml *a, size_t mark);

/* Name(name, ...): the value follows. */
void aml_name(struct aml *a, const char *name);
void aml_int(struct aml *a, uint32_t v);
void aml_string(struct aml *a, const char *s);
/* Name(name, EisaId("PNP0A03")) and the like. */
void aml_name_eisa(struct aml *a, const char *name, const char *id);
void aml_name_int(struct aml *a, const char *name, uint32_t v);
void aml_name_string(struct aml *a, const char *name, const char *s);

/* Resource descriptors. */
void aml_res_io(struct aml *a, uint16_t base, uint8_t len);
void aml_res_mem32_fixed(struct aml *a, uint32_t base, uint32_t len);
void aml_res_irq(struct aml *a, uint32_t gsi, bool level, bool shared);
/* Windows that a bridge passes on: bus 0, memory. */
void aml_res_bus0(struct aml *a);
void aml_res_mem_window(struct aml *a, uint32_t first, uint32_t last);
