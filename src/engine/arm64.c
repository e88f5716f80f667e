/* SPDX-License-Identifier: BSD-3-Clause */
/* arm64: GICv3 with ITS, the processors' first state, suspend to RAM (Linux, virt/kvm). */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "engine/vm_priv.h"
#include "machine/arm64/dtree.h"
#include "machine/arm64/layout.h"

#define CORE_REG(name)                                                                             \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.name))
#define REG_MPIDR ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFF UINT64_C(0xff00ffffff) /* the affinity fields */
#define SPI_FIRST 32u			 /* INTIDs below are private to a processor */

static int get_reg(const struct vcpu *vcpu, uint64_t id, uint64_t *v)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)v };

	return kvm_ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg);
}

static int set_reg(const struct vcpu *vcpu, uint64_t id, uint64_t v)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&v };

	return kvm_ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg);
}

/* Lines of the board are the SPIs of the same number. */
static int set_routes(struct vm *vm, struct err *e)
{
	struct kvm_irq_routing_entry r[ARM64_SPIS];

	memset(r, 0, sizeof(r));
	for (unsigned spi = 0; spi < ARM64_SPIS; spi++) {
		r[spi].gsi = spi;
		r[spi].type = KVM_IRQ_ROUTING_IRQCHIP;
		r[spi].u.irqchip.pin = spi;
	}
	vm->kvm.line_code = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | SPI_FIRST;
	return kvm_set_fixed_routes(&vm->kvm, r, ARM64_SPIS, e);
}

static int create_device(struct vm *vm, uint32_t type, int *fd)
{
	struct kvm_create_device dev = { .type = type };
	int rc = kvm_ioctl(vm->kvm.fd, KVM_CREATE_DEVICE, &dev);

	if (!rc)
		*fd = (int)dev.fd;
	return rc;
}

static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, &a);
}

/* When all processors exist: it has a part of each. KVM keeps it when the descriptor is closed. */
static int create_gic(struct vm *vm, struct err *e)
{
	const uint64_t dist = ARM64_GICD, redist = ARM64_GICR;
	const uint32_t nirqs = SPI_FIRST + ARM64_SPIS;
	autoclose int fd = -1;
	int rc = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3, &fd);

	if (rc)
		return err_sys(e, rc,
			"cannot create the interrupt controller: the host's KVM has no GICv3 for "
			"guests");
	rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist);
	if (!rc)
		rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist);
	if (!rc)
		rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nirqs);
	if (!rc)
		rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return rc ? err_sys(e, rc, "cannot set up the interrupt controller (GICv3)") : 0;
}

/* The ITS takes messages of PCI devices. */
static int create_its(struct vm *vm, struct err *e)
{
	const uint64_t addr = ARM64_ITS;
	autoclose int fd = -1;
	int rc = create_device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, &fd);

	if (!rc)
		rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &addr);
	if (!rc)
		rc = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	vm->kvm.msi_devid = true;
	return rc ? err_sys(e, rc, "cannot create the interrupt controller for MSI (GICv3 ITS)")
		  : 0;
}

int arch_init(struct vm *vm, struct err *e)
{
	struct kvm_enable_cap suspend = { .cap = KVM_CAP_ARM_SYSTEM_SUSPEND };
	struct kvm_enable_cap nisv = { .cap = KVM_CAP_ARM_NISV_TO_USER };

	/* Both are of Linux 5.19 and 5.5; without them the guest is told that it cannot suspend,
	 * and an access that KVM cannot decode ends in an error of KVM_RUN. */
	if (kvm_cap(&vm->kvm, KVM_CAP_ARM_SYSTEM_SUSPEND))
		kvm_ioctl(vm->kvm.fd, KVM_ENABLE_CAP, &suspend);
	if (kvm_cap(&vm->kvm, KVM_CAP_ARM_NISV_TO_USER))
		kvm_ioctl(vm->kvm.fd, KVM_ENABLE_CAP, &nisv);
	return 0;
}

/* The host's processor with what KVM does not give by itself. */
static int get_init(const struct vm *vm, struct kvm_vcpu_init *init)
{
	int rc = kvm_ioctl(vm->kvm.fd, KVM_ARM_PREFERRED_TARGET, init);

	if (rc)
		return rc;
	init->features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (kvm_cap(&vm->kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
		kvm_cap(&vm->kvm, KVM_CAP_ARM_PTRAUTH_GENERIC))
		init->features[0] |=
			1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	if (kvm_cap(&vm->kvm, KVM_CAP_ARM_SVE))
		init->features[0] |= 1u << KVM_ARM_VCPU_SVE;
	return 0;
}

/* EL1, MMU off, interrupts masked: what KVM resets a processor to (booting.rst, "Call the kernel
 * image"). */
static int set_start(const struct vcpu *vcpu, uint64_t entry, uint64_t x0)
{
	int rc = set_reg(vcpu, CORE_REG(pc), entry);

	return rc ? rc : set_reg(vcpu, CORE_REG(regs[0]), x0);
}

static int vcpu_init(struct vcpu *vcpu, struct kvm_vcpu_init init, struct err *e)
{
	const uint32_t sve = 1u << KVM_ARM_VCPU_SVE;
	int feature = KVM_ARM_VCPU_SVE;
	uint64_t mpidr = 0;
	int rc;

	/* The others wait for the first one's CPU_ON. */
	if (vcpu->id)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	rc = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
	if (!rc && (init.features[0] & sve))
		rc = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature);
	if (!rc)
		rc = get_reg(vcpu, REG_MPIDR, &mpidr);
	if (rc)
		return err_sys(e, rc, "cannot initialise virtual CPU %u", vcpu->id);
	if ((mpidr & MPIDR_AFF) != dtree_mpidr(vcpu->id))
		return err_set(e, -ENOTSUP,
			"KVM gives virtual CPU %u the MPIDR 0x%" PRIx64
			", the guest was to be told 0x%" PRIx64,
			vcpu->id, mpidr, dtree_mpidr(vcpu->id));
	return 0;
}

/* Of Linux 6.4, newer than the headers that avp is built with (KVM API, 4.139). */
struct counter_offset {
	uint64_t offset, reserved;
};
#define SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct counter_offset)

/* KVM starts the guest's counters at zero; `counter: host` has them read as the host's. */
static int share_counter(struct vm *vm, struct err *e)
{
	struct counter_offset own = { 0 };
	int rc;

	if (vm->conf->counter != VM_COUNTER_HOST)
		return 0;
	rc = kvm_ioctl(vm->kvm.fd, SET_COUNTER_OFFSET, &own);
	return rc ? err_sys(e, rc,
			    "'counter: host': this host's KVM cannot set the offset of counters "
			    "(Linux 6.4 can)")
		  : 0;
}

/* How far the guest's virtual counter is from the host's. */
static void set_counter_offset(struct vm *vm)
{
	uint64_t guest = 0, host;

	if (get_reg(&vm->vcpus[0], KVM_REG_ARM_TIMER_CNT, &guest))
		return;
	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(host)::"memory");
	vm->kvm.vmm.counter_offset = host - guest;
}

int arch_vcpus_init(struct vm *vm, const struct boot *boot, struct err *e)
{
	struct kvm_vcpu_init init = { 0 };
	int rc = get_init(vm, &init);

	if (rc)
		return err_sys(e, rc, "KVM has no processor for guests (PREFERRED_TARGET)");
	for (unsigned i = 0; !rc && i < vm->conf->cpus; i++)
		rc = vcpu_init(&vm->vcpus[i], init, e);
	if (rc)
		return rc;
	rc = set_start(&vm->vcpus[0], boot->entry, boot->info);
	if (rc)
		return err_sys(e, rc, "cannot set the first state of virtual CPU 0");
	rc = share_counter(vm, e);
	if (rc)
		return rc;
	set_counter_offset(vm);
	rc = create_gic(vm, e);
	if (!rc)
		rc = create_its(vm, e);
	return rc ? rc : set_routes(vm, e);
}

/*
 * PSCI SYSTEM_SUSPEND (Arm DEN 0022, 5.19): the processor starts afresh at the address in X1 with
 * X2 in X0 when it is woken. That all others are off is the caller's duty.
 */
static void on_suspend(struct vcpu *vcpu)
{
	struct kvm_vcpu_init init = { 0 };
	uint64_t entry = 0, context = 0;
	int rc = get_reg(vcpu, CORE_REG(regs[1]), &entry);

	if (!rc)
		rc = get_reg(vcpu, CORE_REG(regs[2]), &context);
	if (!rc)
		rc = get_init(vcpu->vm, &init);
	if (!rc)
		rc = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
	if (!rc)
		rc = set_start(vcpu, entry, context);
	if (!rc)
		rc = vcpu_suspend(vcpu);
	if (rc)
		vm_end_with(vcpu->vm, VM_END_FAULT, "cannot suspend CPU %u: %s", vcpu->id,
			strerror(-rc));
}

int arch_wake(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { KVM_MP_STATE_RUNNABLE };

	return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state);
}

static bool on_system_event(struct vcpu *vcpu)
{
	int rc;

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SUSPEND:
		on_suspend(vcpu);
		return true;
	case KVM_SYSTEM_EVENT_WAKEUP:
		rc = vcpu_wake(vcpu);
		if (rc)
			vm_end_with(vcpu->vm, VM_END_FAULT, "cannot wake CPU %u: %s", vcpu->id,
				strerror(-rc));
		return true;
	default:
		return false;
	}
}

bool arch_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_SYSTEM_EVENT:
		return on_system_event(vcpu);
	case KVM_EXIT_ARM_NISV:
		vm_end_with(vcpu->vm, VM_END_CRASH,
			"guest crashed: CPU %u at 0x%" PRIx64
			" accesses 0x%llx by an instruction that cannot be emulated",
			vcpu->id, arch_pc(vcpu), vcpu->run->arm_nisv.fault_ipa);
		return true;
	default:
		return false;
	}
}

uint64_t arch_pc(struct vcpu *vcpu)
{
	uint64_t pc = 0;

	get_reg(vcpu, CORE_REG(pc), &pc);
	return pc;
}

void arch_dump(struct vcpu *vcpu)
{
	const struct log *log = vcpu->vm->log;
	uint64_t x[32] = { 0 }, pc = 0, pstate = 0;

	get_reg(vcpu, CORE_REG(pc), &pc);
	get_reg(vcpu, CORE_REG(pstate), &pstate);
	get_reg(vcpu, CORE_REG(sp), &x[31]);
	/* Core registers are counted in words of 32 bits. */
	for (unsigned i = 0; i < 31; i++)
		get_reg(vcpu, CORE_REG(regs[0]) + 2 * i, &x[i]);
	log_warn(log, "CPU %u: pc  %016" PRIx64 " pstate %08" PRIx64 " (x31 is SP_EL0)", vcpu->id,
		pc, pstate);
	for (unsigned i = 0; i < 32; i += 4)
		log_warn(log,
			"CPU %u: x%-2u %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64,
			vcpu->id, i, x[i], x[i + 1], x[i + 2], x[i + 3]);
}

bool arch_nmi(struct vcpu *vcpu)
{
	return false;
}
