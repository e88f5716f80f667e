/* SPDX-License-Identifier: BSD-3-Clause */
/* One stub per vector, 16 bytes each, so that every exception and interrupt comes with its number. */

	.text
	.global bare_isr_stubs
	.balign 16
bare_isr_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	/* These exceptions push an error code; the others get a 0 in its place. */
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
	.else
	pushq $0
	.endif
	pushq $vector
	jmp common
	.set vector, vector + 1
	.endr

common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	cld
	leaq 72(%rsp), %rdi /* vector, error code, address */
	call bare_x86_interrupt
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq
