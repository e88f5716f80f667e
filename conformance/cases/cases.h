/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of cases, one for each file here; each ends with a NULL name. */
#pragma once

#include "conformance/cf.h"

extern const struct cf_case cf_cases_probe[];
extern const struct cf_case cf_cases_platform[];
extern const struct cf_case cf_cases_pci_config[];
extern const struct cf_case cf_cases_pci_common[];
extern const struct cf_case cf_cases_pci_access[];
extern const struct cf_case cf_cases_pci_irq[];
extern const struct cf_case cf_cases_mmio[];
extern const struct cf_case cf_cases_status[];
extern const struct cf_case cf_cases_features[];
extern const struct cf_case cf_cases_config[];
extern const struct cf_case cf_cases_vq[];
extern const struct cf_case cf_cases_split[];
extern const struct cf_case cf_cases_packed[];
extern const struct cf_case cf_cases_indirect[];
extern const struct cf_case cf_cases_event[];
extern const struct cf_case cf_cases_inorder[];
extern const struct cf_case cf_cases_reset[];
extern const struct cf_case cf_cases_hostile[];
extern const struct cf_case cf_cases_hostile_split[];
extern const struct cf_case cf_cases_hostile_packed[];
extern const struct cf_case cf_cases_hostile_rings[];
extern const struct cf_case cf_cases_hostile_twice[];
extern const struct cf_case cf_cases_net_config[];
extern const struct cf_case cf_cases_net_frames[];
extern const struct cf_case cf_cases_net_offload[];
extern const struct cf_case cf_cases_net_ctrl[];
extern const struct cf_case cf_cases_net_filter[];
extern const struct cf_case cf_cases_net_queues[];
extern const struct cf_case cf_cases_net_hostile[];
extern const struct cf_case cf_cases_vsock_connect[];
extern const struct cf_case cf_cases_vsock_stream[];
extern const struct cf_case cf_cases_vsock_seqpacket[];
extern const struct cf_case cf_cases_vsock_hostile[];
extern const struct cf_case cf_cases_blk_config[];
extern const struct cf_case cf_cases_blk_rw[];
extern const struct cf_case cf_cases_blk_requests[];
extern const struct cf_case cf_cases_blk_range[];
extern const struct cf_case cf_cases_blk_hostile[];
extern const struct cf_case cf_cases_blk_load[];
extern const struct cf_case cf_cases_rng[];
extern const struct cf_case cf_cases_scmi[];
extern const struct cf_case cf_cases_scmi_messages[];
extern const struct cf_case cf_cases_scmi_sensor[];
extern const struct cf_case cf_cases_can[];
extern const struct cf_case cf_cases_i2c[];
extern const struct cf_case cf_cases_spi[];
extern const struct cf_case cf_cases_can_bus[];
extern const struct cf_case cf_cases_console[];
extern const struct cf_case cf_cases_console_ports[];
extern const struct cf_case cf_cases_rtc[];
extern const struct cf_case cf_cases_rtc_read[];
extern const struct cf_case cf_cases_rtc_alarm[];
extern const struct cf_case cf_cases_input[];
extern const struct cf_case cf_cases_gpio[];
extern const struct cf_case cf_cases_gpio_irq[];
extern const struct cf_case cf_cases_runner[];
