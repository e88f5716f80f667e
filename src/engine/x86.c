/* SPDX-License-Identifier: BSD-3-Clause */
/* x86-64: interrupt controllers, CPUID, the processors' first state, port accesses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "engine/vm_priv.h"
#include "machine/x86/layout.h"

#define CPUID_MAX    256u
#define IOAPIC_LINES 24u

#define CR0_PE	 (1u << 0)
#define CR0_ET	 (1u << 4)
#define CR0_NW	 (1u << 29)
#define CR0_CD	 (1u << 30)
#define CR0_PG	 (1u << 31)
#define CR4_PAE	 (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define MSR_MISC_ENABLE	  0x1a0u
#define MISC_FAST_STRING  1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLE_WB	  0x806u

#define LAPIC_LVT0 0x350u
#define LAPIC_LVT1 0x360u
#define LVT_EXTINT 0x700u
#define LVT_NMI	   0x400u

static int set_routes(struct vm *vm, struct err *e)
{
	struct kvm_irq_routing_entry r[16 + IOAPIC_LINES];
	unsigned n = 0;

	memset(r, 0, sizeof(r));
	for (unsigned gsi = 0; gsi < IOAPIC_LINES; gsi++) {
		if (gsi < 16) {
			r[n].gsi = gsi;
			r[n].type = KVM_IRQ_ROUTING_IRQCHIP;
			r[n].u.irqchip.irqchip =
				gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
			r[n++].u.irqchip.pin = gsi % 8;
		}
		r[n].gsi = gsi;
		r[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		r[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		r[n++].u.irqchip.pin = gsi;
	}
	return kvm_set_fixed_routes(&vm->kvm, r, n, e);
}

int arch_init(struct vm *vm, struct err *e)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = BOARD_KVM_IDENTITY;
	int fd = vm->kvm.fd, rc;

	/* Pages that KVM needs on Intel for real mode; nothing of the board may be there. */
	rc = kvm_ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (!rc)
		rc = kvm_ioctl_val(fd, KVM_SET_TSS_ADDR, BOARD_KVM_TSS);
	if (rc)
		return err_sys(e, rc, "cannot place KVM's private pages");
	rc = kvm_ioctl_val(fd, KVM_CREATE_IRQCHIP, 0);
	if (rc)
		return err_sys(
			e, rc, "cannot create the interrupt controllers (KVM_CREATE_IRQCHIP)");
	rc = kvm_ioctl(fd, KVM_CREATE_PIT2, &pit);
	if (rc)
		return err_sys(e, rc, "cannot create the timer (KVM_CREATE_PIT2)");
	return set_routes(vm, e);
}

/* Bits of an APIC id that number the processors: one package, its cores, no threads. */
static unsigned core_bits(unsigned ncpus)
{
	unsigned bits = 0;

	while ((1u << bits) < ncpus)
		bits++;
	return bits;
}

/* Extended topology, leaves 0x0b and 0x1f: level 0 is a thread, level 1 a core. */
static void set_topology(struct kvm_cpuid_entry2 *c, unsigned id, unsigned ncpus)
{
	static const uint8_t type[2] = { 1, 2 };

	c->eax = c->ebx = 0;
	c->ecx = c->index & 0xff;
	c->edx = id;
	if (c->index > 1)
		return;
	c->eax = c->index ? core_bits(ncpus) : 0;
	c->ebx = c->index ? ncpus : 1;
	c->ecx |= (uint32_t)type[c->index] << 8;
}

static void set_leaf(const struct kvm *kvm, struct kvm_cpuid_entry2 *c, unsigned id, unsigned ncpus)
{
	const uint32_t vmx = 1u << 5, deadline = 1u << 24, hypervisor = 1u << 31;
	const uint32_t many = 1u << 28, svm = 1u << 2;

	switch (c->function) {
	case 1:
		c->ebx = (c->ebx & 0xffff) | (1u << core_bits(ncpus)) << 16 | id << 24;
		c->ecx = (c->ecx & ~vmx) | hypervisor;
		if (kvm_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER))
			c->ecx |= deadline;
		c->edx = ncpus > 1 ? c->edx | many : c->edx & ~many;
		break;
	case 4:
		/* Cores in the package; caches of level 3 are shared by all, others by none. */
		c->eax &= 0x3fff;
		if (c->eax & 0x1f)
			c->eax |= (ncpus - 1) << 26 |
				  (((c->eax >> 5) & 7) > 2 ? (ncpus - 1) << 14 : 0);
		break;
	case 0xb:
	case 0x1f:
		set_topology(c, id, ncpus);
		break;
	case 0x80000001:
		c->ecx &= ~svm;
		break;
	case 0x80000008:
		c->ecx = core_bits(ncpus) << 12 | (ncpus - 1);
		break;
	case 0x8000001e:
		c->eax = c->ebx = id;
		c->ecx = 0;
		break;
	default:
		break;
	}
}

static int set_cpuid(struct vcpu *vcpu, struct err *e)
{
	const struct kvm *kvm = &vcpu->vm->kvm;
	autofree struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
	int rc;

	if (!c)
		return err_set(e, -ENOMEM, "no memory for CPUID");
	c->nent = CPUID_MAX;
	rc = kvm_ioctl(kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, c);
	for (unsigned i = 0; !rc && i < c->nent; i++)
		set_leaf(kvm, &c->entries[i], vcpu->id, vcpu->vm->conf->cpus);
	if (!rc)
		rc = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, c);
	return rc ? err_sys(e, rc, "cannot set the CPUID of virtual CPU %u", vcpu->id) : 0;
}

static int set_msrs(struct vcpu *vcpu, struct err *e)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[2];
	} m = {
		.head.nmsrs = 2,
		.entry = {
			{ .index = MSR_MISC_ENABLE, .data = MISC_FAST_STRING },
			/* What a firmware leaves: RAM is cached. */
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WB },
		},
	};
	int rc = kvm_ioctl(vcpu->fd, KVM_SET_MSRS, &m);

	return rc < 0 ? err_sys(e, rc, "cannot set registers of virtual CPU %u", vcpu->id) : 0;
}

/* The local APIC as a PC's firmware leaves it: the old interrupt controller and NMI go through. */
static int set_lapic(struct vcpu *vcpu, struct err *e)
{
	struct kvm_lapic_state s;
	const uint32_t extint = LVT_EXTINT, nmi = LVT_NMI;
	int rc = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &s);

	if (!rc) {
		memcpy(s.regs + LAPIC_LVT0, &extint, sizeof(extint));
		memcpy(s.regs + LAPIC_LVT1, &nmi, sizeof(nmi));
		rc = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
	}
	return rc ? err_sys(e, rc, "cannot set the local APIC of virtual CPU %u", vcpu->id) : 0;
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !code64,
		.s = 1,
		.l = code64,
		.g = 1,
	};
}

static void enter_protected(struct kvm_sregs *s, bool long_mode)
{
	s->cs = flat(0x10, 0xb, long_mode);
	s->ds = s->es = s->fs = s->gs = s->ss = flat(0x18, 0x3, false);
	s->tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb, .present = 1 };
	s->ldt = (struct kvm_segment){ .unusable = 1 };
	s->idt = (struct kvm_dtable){ 0 };
	s->cr0 = CR0_PE | CR0_ET;
	s->cr4 = 0;
	s->efer = 0;
	if (!long_mode) {
		s->gdt = (struct kvm_dtable){ 0 };
		return;
	}
	s->gdt = (struct kvm_dtable){ .base = BOARD_GDT, .limit = 4 * 8 - 1 };
	s->cr3 = BOARD_PAGE_TABLES;
	s->cr4 = CR4_PAE;
	s->cr0 |= CR0_PG;
	s->efer = EFER_LME | EFER_LMA;
}

static int set_boot_state(struct vcpu *vcpu, const struct boot *boot, struct err *e)
{
	struct kvm_regs regs = { .rflags = 2, .rip = boot->entry };
	bool long_mode = boot->protocol == BOOT_LINUX64 || boot->protocol == BOOT_BARE64;
	struct kvm_sregs s;
	int rc = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s);

	if (boot->protocol == BOOT_LINUX64)
		regs.rsi = boot->info;
	else
		regs.rbx = boot->info;
	if (boot->protocol == BOOT_BARE64)
		regs.rdi = boot->info; /* the first argument of a C function */
	enter_protected(&s, long_mode);
	if (!rc)
		rc = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &s);
	if (!rc)
		rc = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	return rc ? err_sys(e, rc, "cannot set the first state of virtual CPU %u", vcpu->id) : 0;
}

/* KVM starts the guest's TSC at zero; `counter: host` has it read as the host's. */
static int set_tsc(struct vcpu *vcpu, struct err *e)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset
	};
	int rc;

	if (vcpu->vm->conf->counter != VM_COUNTER_HOST)
		return 0;
	rc = kvm_ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
	return rc ? err_sys(e, rc,
			    "'counter: host': this host's KVM cannot set the offset of a TSC "
			    "(Linux 5.16 can)")
		  : 0;
}

static int vcpu_init(struct vcpu *vcpu, const struct boot *boot, struct err *e)
{
	int rc = set_cpuid(vcpu, e);

	if (!rc)
		rc = set_tsc(vcpu, e);

	if (!rc)
		rc = set_msrs(vcpu, e);
	if (!rc)
		rc = set_lapic(vcpu, e);
	/* The others wait for the first one's INIT and SIPI. */
	return rc || vcpu->id ? rc : set_boot_state(vcpu, boot, e);
}

int arch_vcpus_init(struct vm *vm, const struct boot *boot, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < vm->conf->cpus; i++)
		rc = vcpu_init(&vm->vcpus[i], boot, e);
	return rc;
}

static struct kvm_segment real_mode(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.base = (uint32_t)selector << 4,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
	};
}

/* The state after a reset, but for where execution begins: CS:IP of the waking vector (ACPI 6.5,
 * 16.3.1.1 and 5.2.10). */
static int set_real_mode(struct vcpu *vcpu, uint32_t vector)
{
	struct kvm_regs regs = { .rflags = 2, .rip = vector & 0xf };
	struct kvm_sregs s;
	int rc = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s);

	s.cs = real_mode((uint16_t)(vector >> 4), 0xb);
	s.ds = s.es = s.fs = s.gs = s.ss = real_mode(0, 0x3);
	s.tr = (struct kvm_segment){ .limit = 0xffff, .type = 0xb, .present = 1 };
	s.ldt = (struct kvm_segment){ .limit = 0xffff, .type = 0x2, .present = 1 };
	s.gdt = s.idt = (struct kvm_dtable){ .limit = 0xffff };
	s.cr0 = CR0_ET | CR0_NW | CR0_CD;
	s.cr3 = s.cr4 = s.efer = s.cr8 = 0;
	memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
	if (!rc)
		rc = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &s);
	return rc ? rc : kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

int arch_wake(struct vcpu *vcpu)
{
	struct kvm_mp_state wait = { KVM_MP_STATE_UNINITIALIZED };
	uint32_t vector;

	/* KVM finishes the instruction that left it (the write to PM1) when it is entered again,
	 * and then returns at once. The flag stays: it costs one more round. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ioctl(vcpu->fd, KVM_RUN, 0);
	/* The others wait for INIT and SIPI, as after power-on. */
	if (vcpu->id)
		return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &wait);
	vector = board_wake(&vcpu->vm->board);
	if (vector && vector < 1u << 20)
		return set_real_mode(vcpu, vector);
	vm_end_with(vcpu->vm, VM_END_RESET,
		"guest was woken from suspend to RAM, but its waking vector is 0x%x", vector);
	return 0;
}

static void on_io(struct vcpu *vcpu)
{
	struct bus *bus = &vcpu->vm->kvm.vmm.pio;
	struct kvm_run *run = vcpu->run;
	unsigned size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(bus, run->io.port, data, size);
		else
			bus_read(bus, run->io.port, data, size);
	}
}

bool arch_exit(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		return false;
	on_io(vcpu);
	return true;
}

uint64_t arch_pc(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

void arch_dump(struct vcpu *vcpu)
{
	const struct log *log = vcpu->vm->log;
	struct kvm_regs r;
	struct kvm_sregs s;

	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r) || kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s))
		return;
	log_warn(log, "CPU %u: rip %016llx rsp %016llx rflags %08llx cs %04x", vcpu->id, r.rip,
		r.rsp, r.rflags, s.cs.selector);
	log_warn(log, "CPU %u: rax %016llx rbx %016llx rcx %016llx rdx %016llx", vcpu->id, r.rax,
		r.rbx, r.rcx, r.rdx);
	log_warn(log, "CPU %u: rsi %016llx rdi %016llx rbp %016llx r8  %016llx", vcpu->id, r.rsi,
		r.rdi, r.rbp, r.r8);
	log_warn(log, "CPU %u: r9  %016llx r10 %016llx r11 %016llx r12 %016llx", vcpu->id, r.r9,
		r.r10, r.r11, r.r12);
	log_warn(log, "CPU %u: r13 %016llx r14 %016llx r15 %016llx", vcpu->id, r.r13, r.r14, r.r15);
	log_warn(log, "CPU %u: cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx", vcpu->id, s.cr0,
		s.cr2, s.cr3, s.cr4);
}

bool arch_nmi(struct vcpu *vcpu)
{
	return !kvm_ioctl(vcpu->fd, KVM_NMI, NULL);
}
