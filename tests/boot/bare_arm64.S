/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for arm64 that runs anywhere: says at which exception level it is, whether X0 is a device
 * tree, and whether the MMU is off, then powers off (Arm DEN 0022, SYSTEM_OFF).
 */
	.equ	UART, 0x09000000
	.text
	.global _start
_start:
	mov	x19, x0
	mrs	x0, CurrentEL
	cmp	x0, #(1 << 2)
	b.ne	1f
	adr	x0, in_el1
	bl	put
1:	mrs	x0, sctlr_el1
	tbnz	x0, #0, 2f
	adr	x0, mmu_off
	bl	put
2:	ldr	w0, [x19]
	ldr	w1, =0xedfe0dd0 /* magic number, big-endian */
	cmp	w0, w1
	b.ne	3f
	adr	x0, has_tree
	bl	put
3:	adr	x0, end
	bl	put
	ldr	w0, =0x84000008
	hvc	#0
	b	.

put:	ldr	x2, =UART
4:	ldrb	w1, [x0], #1
	cbz	w1, 5f
	str	w1, [x2]
	b	4b
5:	ret

	.section .rodata
in_el1:	.asciz "EL1, "
mmu_off: .asciz "MMU off, "
has_tree: .asciz "device tree in X0, "
end:	.asciz "done\n"
