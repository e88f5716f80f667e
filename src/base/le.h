/* SPDX-License-Identifier: BSD-3-Clause */
/* Little-endian fields (VIRTIO 1.4, 1.5) as types of their own, so that a plain read stands out. */
#pragma once

#include <endian.h>
#include <stdint.h>

typedef uint16_t le16;
typedef uint32_t le32;
typedef uint64_t le64;
