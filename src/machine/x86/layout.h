/* SPDX-License-Identifier: BSD-3-Clause */
/* The x86-64 board: where everything is. Guest-physical addresses, ports and interrupt lines. */
#pragma once

#define BOARD_LOW_RAM_END   0xc0000000u /* RAM beyond it continues at 4 GiB */
#define BOARD_HIGH_RAM	    0x100000000u
#define BOARD_PCI_WINDOW    0xc0000000u
#define BOARD_PCI_SIZE	    0x20000000u
#define BOARD_ECAM	    0xe0000000u
#define BOARD_ECAM_SIZE	    0x00100000u /* one bus */
#define BOARD_VIRTIO_MMIO   0xfeb00000u
#define BOARD_VIRTIO_STRIDE 0x1000u
#define BOARD_IOAPIC	    0xfec00000u
#define BOARD_LAPIC	    0xfee00000u
#define BOARD_KVM_IDENTITY  0xfffbc000u /* one page, then three of KVM_SET_TSS_ADDR; Intel only */
#define BOARD_KVM_TSS	    0xfffbd000u

/* What the loader puts below 1 MiB. */
#define BOARD_GDT	   0x00000500u
#define BOARD_START_INFO   0x00006000u /* PVH */
#define BOARD_ZERO_PAGE	   0x00007000u /* Linux */
#define BOARD_PAGE_TABLES  0x00009000u /* six pages */
#define BOARD_CMDLINE	   0x00020000u
#define BOARD_CMDLINE_SIZE 0x00010000u
#define BOARD_LOW_END	   0x0009fc00u /* end of conventional memory */
#define BOARD_ACPI	   0x000e0000u
#define BOARD_ACPI_SIZE	   0x00020000u
#define BOARD_KERNEL_MIN   0x00100000u

#define BOARD_PORT_COM1	 0x3f8u
#define BOARD_PORT_I8042 0x60u
#define BOARD_PORT_PCI	 0xcf8u
#define BOARD_PORT_PM1	 0x600u
#define BOARD_PORT_RESET 0xcf9u

#define BOARD_IRQ_COM1	 4u
#define BOARD_IRQ_SCI	 9u
#define BOARD_IRQ_PCI	 16u /* four lines, by slot and pin */
#define BOARD_IRQ_VIRTIO 20u /* four lines, by device */
#define BOARD_IRQ_SHARE	 4u
