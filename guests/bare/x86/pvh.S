/* SPDX-License-Identifier: BSD-3-Clause */
/* Entry of the ELF image (Xen, docs/misc/pvh.pandoc): from 32-bit protected mode to C. */

	.section .note.Xen, "a", @note
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_start

	.section .text.start, "ax"
	.code32
	.global pvh_start
pvh_start:
	cld
	movl $bare_stack_top, %esp

	/* PAE, page tables, long mode, paging. */
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $bare_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	lgdt gdt_desc
	ljmp $0x08, $start64

	.code64
start64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %ebx, %edi
	call pvh_main
	ud2

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code */
	.quad 0x00cf93000000ffff /* data */
gdt_desc:
	.word 23
	.long gdt

	/* The first GiB at its own address, in pages of 2 MiB; paging.c adds the rest. */
	.section .data
	.balign 4096
	.global bare_pml4
bare_pml4:
	.quad pdpt + 3
	.fill 511, 8, 0
pdpt:
	.quad pd + 3
	.fill 511, 8, 0
pd:
	.set page, 0
	.rept 512
	.quad (page << 21) + 0x83
	.set page, page + 1
	.endr

	.section .bss, "aw", @nobits
	.balign 16
	.skip 32768
bare_stack_top:
	.section .note.GNU-stack, "", @progbits
