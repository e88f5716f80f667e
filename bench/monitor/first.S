/* SPDX-License-Identifier: BSD-3-Clause */
/* The least arm64 guest (Linux, Documentation/arch/arm64/booting.rst): one byte to the PL011 of the
 * board, whose place ours and QEMU's virt share, then it sleeps. */

	b 1f
	.long 0
	.quad 0		/* text_offset */
	.quad 0x1000	/* image_size */
	.quad 0xa	/* little-endian, 4 KiB pages, anywhere in memory */
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long 0

1:	mov x0, #0x09000000
	mov w1, #'*'
	strb w1, [x0]
2:	wfi
	b 2b
