/* SPDX-License-Identifier: BSD-3-Clause */
/* Entry of the test payload: from PVH's 32-bit protected mode to C in long mode; and the start of
 * the second processor, copied to 0x8000. */

	/* Started as a raw image or a plain ELF file: in long mode already, start info in RDI. */
	.section .text.first, "ax"
	.code64
	.global bare64
bare64:
	movl %edi, start_info_addr
	movl $stack_top, %esp
	lgdt gdt_desc
	pushq $0x08
	pushq $entry64
	lretq

	.section .note.Xen, "a", @note
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry32

	.section .text
	.code32
	.global entry32
entry32:
	cld
	movl %ebx, start_info_addr
	movl $stack_top, %esp

	/* Identity map of 4 GiB in 2 MiB pages. */
	movl $pdpt + 3, pml4
	movl $pd, %eax
	orl $3, %eax
	movl $pdpt, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 1b
	movl $0x83, %eax
	movl $pd, %edi
	movl $2048, %ecx
2:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 2b

	call enable_long
	lgdt gdt_desc
	ljmp $0x08, $entry64

enable_long:
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	ret

	.code64
entry64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl start_info_addr, %edi
	call payload_main
3:	hlt
	jmp 3b

	/* The second processor: real mode at 0x8000. */
	.code16
	.global ap_start, ap_end
ap_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl 0x8000 + (ap_gdt - ap_start)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $ap32
	.balign 8
ap_gdt:
	.word 31
	.long gdt
ap_end:

	.code32
ap32:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $ap_stack_top, %esp
	call enable_long
	ljmp $0x08, $ap64
	.code64
ap64:
	call payload_ap
4:	hlt
	jmp 4b

	/* Interrupt handlers: vector 0x40 counts, everything else reports. */
	.global isr_count, isr_other
isr_count:
	pushq %rax
	incl irq_count
	movl irq_ack, %eax /* a level-triggered device wants to be told */
	testl %eax, %eax
	jz 5f
	movl $3, (%rax)
5:	movl $0xfee000b0, %eax
	movl $0, (%rax)
	popq %rax
	iretq
isr_other:
	movq (%rsp), %rdi
	call payload_fault

	.section .data
	.balign 16
	.global gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code */
	.quad 0x00cf93000000ffff /* data */
	.quad 0x00cf9b000000ffff /* 32-bit code */
gdt_desc:
	.word 31
	.quad gdt
	.global start_info_addr, irq_count, irq_ack
start_info_addr:
	.long 0
irq_count:
	.long 0
irq_ack:
	.long 0

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4096 * 4
	.skip 16384
stack_top:
	.skip 8192
ap_stack_top:
	.section .note.GNU-stack, "", @progbits
