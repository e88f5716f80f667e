/* SPDX-License-Identifier: BSD-3-Clause */
/* Exception vectors of EL1: interrupts of this level are served, everything else is an error. */

	.text
	.global bare_vectors
	.balign 2048
bare_vectors:
	.set n, 0
	.rept 16
	.balign 128
	.if n == 5
	b interrupt
	.else
	mov x0, #n
	b fault
	.endif
	.set n, n + 1
	.endr

	.balign 128
fault:
	mrs x1, esr_el1
	mrs x2, elr_el1
	mrs x3, far_el1
	bl bare_arm64_fault

interrupt:
	sub sp, sp, #176
	stp x0, x1, [sp]
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x30, [sp, #144]
	stp x29, xzr, [sp, #160]
	bl bare_arm64_interrupt
	ldp x0, x1, [sp]
	ldp x2, x3, [sp, #16]
	ldp x4, x5, [sp, #32]
	ldp x6, x7, [sp, #48]
	ldp x8, x9, [sp, #64]
	ldp x10, x11, [sp, #80]
	ldp x12, x13, [sp, #96]
	ldp x14, x15, [sp, #112]
	ldp x16, x17, [sp, #128]
	ldp x18, x30, [sp, #144]
	ldp x29, xzr, [sp, #160]
	add sp, sp, #176
	eret
