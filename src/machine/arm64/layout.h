/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arm64 board: where everything is, as on QEMU's machine "virt", so that firmware and RTOS
 * board support that were made for that run unchanged. Guest-physical addresses, bytes, and SPI
 * numbers: the GIC's INTID is 32 more.
 */
#pragma once

#define ARM64_FLASH	  0x00000000u /* two banks: code, and variables */
#define ARM64_FLASH_SIZE  0x04000000u /* of each */
#define ARM64_GICD	  0x08000000u
#define ARM64_GICD_SIZE	  0x00010000u
#define ARM64_ITS	  0x08080000u
#define ARM64_ITS_SIZE	  0x00020000u
#define ARM64_GICR	  0x080a0000u
#define ARM64_GICR_SIZE	  0x00020000u /* for each processor */
#define ARM64_UART	  0x09000000u /* PL011 */
#define ARM64_RTC	  0x09010000u /* PL031 */
#define ARM64_GPIO	  0x09030000u /* PL061 */
#define ARM64_PL_SIZE	  0x00001000u /* of each PrimeCell */
#define ARM64_MMIO	  0x0a000000u /* virtio-mmio */
#define ARM64_MMIO_STRIDE 0x00000200u
/* The SBSA generic watchdog; "virt" has none. */
#define ARM64_WDT_REFRESH 0x0b000000u
#define ARM64_WDT_CONTROL 0x0b001000u
#define ARM64_WDT_SIZE	  0x00001000u /* of each frame */

#define ARM64_PCI_WINDOW      0x10000000u
#define ARM64_PCI_WINDOW_SIZE 0x2eff0000u
#define ARM64_PCI_IO	      0x3eff0000u
#define ARM64_PCI_IO_SIZE     0x00010000u
#define ARM64_ECAM	      0x3f000000u
#define ARM64_ECAM_SIZE	      0x01000000u
#define ARM64_ECAM_BUSES      16u
/* The window for 64-bit BARs is where "virt" has it for 40 bits of address. */
#define ARM64_PCI_HIGH	    0x8000000000u
#define ARM64_PCI_HIGH_SIZE 0x8000000000u
#define ARM64_PCI_HIGH_BITS 40u

#define ARM64_RAM     0x40000000u
#define ARM64_RAM_MAX 0x3fc0000000u /* up to 256 GiB of address space */

/* The device tree is at the start of RAM, where firmware looks for it; the rest begins here. */
#define ARM64_DTB	0x40000000u
#define ARM64_DTB_SIZE	0x00200000u
#define ARM64_FILES_MIN 0x40200000u

#define ARM64_SPI_UART 1u
#define ARM64_SPI_RTC  2u
#define ARM64_SPI_PCI  3u /* four lines, by slot */
#define ARM64_SPI_GPIO 7u
#define ARM64_SPI_WDT  12u
#define ARM64_SPI_MMIO 16u /* one line for each virtio-mmio device */
#define ARM64_SPIS     160u

/* Lines of the PL061. "virt" has no sleep key. */
#define ARM64_GPIO_POWER_KEY 3u
#define ARM64_GPIO_SLEEP_KEY 4u
