/* SPDX-License-Identifier: BSD-3-Clause */
/* The arm64 Image (Linux, Documentation/arch/arm64/booting.rst): x0 is the device tree; the MMU is
 * off; the image may be anywhere, so that its own addresses are corrected first. */

	.section .text.start, "ax"
	.global image_start
image_start:
	b start
	.long 0
	.quad 0			/* text_offset: from a 2 MiB boundary */
	.quad image_size	/* with .bss; from image.ld */
	.quad 0xa		/* little-endian, 4 KiB pages, anywhere in memory */
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.long 0

start:
	mov x19, x0
	msr daifset, #0xf

	/* From EL2 down to EL1, where guests live. */
	mrs x0, CurrentEL
	cmp x0, #8
	b.ne 2f
	mov x0, #(1 << 31)	/* HCR_EL2.RW: EL1 is 64-bit */
	msr hcr_el2, x0
	mov x0, #3		/* timers belong to EL1 */
	msr cnthctl_el2, x0
	msr cntvoff_el2, xzr
	msr cptr_el2, xzr
	mrs x0, id_aa64pfr0_el1
	ubfx x0, x0, #24, #4	/* GIC registers? */
	cbz x0, 1f
	mov x0, #9		/* ICC_SRE_EL2: SRE, Enable */
	msr s3_4_c12_c9_5, x0
	isb
1:	mov x0, #0x0800
	movk x0, #0x30d0, lsl #16
	msr sctlr_el1, x0	/* its reserved ones; MMU and caches off */
	mov x0, #0x3c5		/* EL1h, interrupts masked */
	msr spsr_el2, x0
	adr x0, 2f
	msr elr_el2, x0
	eret

2:	adrp x0, stack_top
	add x0, x0, :lo12:stack_top
	mov sp, x0

	/* Zero .bss, which is a multiple of 16. */
	adrp x0, bss_start
	add x0, x0, :lo12:bss_start
	adrp x1, bss_end
	add x1, x1, :lo12:bss_end
3:	cmp x0, x1
	b.hs 4f
	stp xzr, xzr, [x0], #16
	b 3b

	/* R_AARCH64_RELATIVE: the word at `offset` becomes start of the image + addend. */
4:	adrp x0, rela_start
	add x0, x0, :lo12:rela_start
	adrp x1, rela_end
	add x1, x1, :lo12:rela_end
	adr x2, image_start
5:	cmp x0, x1
	b.hs 6f
	ldp x3, x4, [x0], #16
	ldr x5, [x0], #8
	cmp w4, #1027
	b.ne 5b
	add x5, x5, x2
	str x5, [x2, x3]
	b 5b

6:	mov x0, x19
	bl image_main
	b .

	.section .bss.stack, "aw", @nobits
	.balign 16
	.skip 32768
stack_top:
	.section .note.GNU-stack, "", @progbits
