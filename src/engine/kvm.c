/* SPDX-License-Identifier: BSD-3-Clause */
/* KVM: opening, guest memory, interrupt routing, eventfds as interrupts and doorbells. */
#include "engine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/util.h"

#define ADDR_BITS 40

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	do
		rc = ioctl(fd, request, arg);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

int kvm_ioctl_val(int fd, unsigned long request, unsigned long arg)
{
	/* KVM takes plain numbers in place of the pointer. */
	return kvm_ioctl(fd, request, (void *)(uintptr_t)arg);
}

int kvm_cap(const struct kvm *kvm, unsigned cap)
{
	int rc = kvm_ioctl_val(kvm->fd, KVM_CHECK_EXTENSION, cap);

	return rc < 0 ? 0 : rc;
}

static struct kvm *kvm_of(struct vmm *vmm)
{
	return container_of(vmm, struct kvm, vmm);
}

static int op_doorbell(struct vmm *vmm, const struct vmm_doorbell *bell, bool on)
{
	struct kvm *kvm = kvm_of(vmm);
	struct kvm_ioeventfd io = {
		.datamatch = bell->value,
		.addr = bell->addr,
		.len = !bell->len && !kvm->any_length ? 2 : bell->len,
		.fd = bell->fd,
		.flags = (bell->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
			 (on ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return kvm_ioctl(kvm->fd, KVM_IOEVENTFD, &io);
}

static int op_irq_line(struct vmm *vmm, uint32_t gsi, bool level)
{
	struct kvm *kvm = kvm_of(vmm);
	struct kvm_irq_level line = { .irq = kvm->line_code + gsi, .level = level };
	unsigned before, after;
	int rc = 0;

	if (gsi >= KVM_LINES)
		return -EINVAL;
	pthread_mutex_lock(&kvm->lock);
	before = kvm->line_users[gsi];
	after = level ? before + 1 : before - !!before;
	kvm->line_users[gsi] = after;
	if (!before != !after)
		rc = kvm_ioctl(kvm->fd, KVM_IRQ_LINE, &line);
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int set_routes(struct kvm *kvm)
{
	kvm->routes->nr = kvm->nfixed + kvm->nmsis;
	return kvm_ioctl(kvm->fd, KVM_SET_GSI_ROUTING, kvm->routes);
}

/* Makes room for `n` entries in all. */
static int grow_routes(struct kvm *kvm, unsigned n)
{
	struct kvm_irq_routing *routes =
		realloc(kvm->routes, sizeof(*routes) + n * sizeof(routes->entries[0]));

	if (!routes)
		return -ENOMEM;
	if (!kvm->routes)
		memset(routes, 0, sizeof(*routes));
	kvm->routes = routes;
	return 0;
}

static int op_msi_alloc(struct vmm *vmm, uint32_t *gsi)
{
	struct kvm *kvm = kvm_of(vmm);
	int rc = -ENOSPC;

	pthread_mutex_lock(&kvm->lock);
	if (max_u64(KVM_LINES, kvm->nfixed) + kvm->nmsis < kvm->max_routes)
		rc = grow_routes(kvm, kvm->nfixed + kvm->nmsis + 1);
	if (!rc) {
		*gsi = KVM_LINES + kvm->nmsis;
		kvm->routes->entries[kvm->nfixed + kvm->nmsis] =
			(struct kvm_irq_routing_entry){ .gsi = *gsi, .type = KVM_IRQ_ROUTING_MSI };
		kvm->nmsis++;
	}
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int op_msi_set(struct vmm *vmm, uint32_t gsi, const struct vmm_msi *m)
{
	struct kvm *kvm = kvm_of(vmm);
	unsigned i = gsi - KVM_LINES;
	int rc = -EINVAL;

	pthread_mutex_lock(&kvm->lock);
	if (i < kvm->nmsis) {
		struct kvm_irq_routing_entry *route = &kvm->routes->entries[kvm->nfixed + i];

		route->u.msi = (struct kvm_irq_routing_msi){
			.address_lo = (uint32_t)m->addr,
			.address_hi = (uint32_t)(m->addr >> 32),
			.data = m->data,
			.devid = kvm->msi_devid ? m->requester : 0,
		};
		route->flags = kvm->msi_devid ? KVM_MSI_VALID_DEVID : 0;
		rc = set_routes(kvm);
	}
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static int op_msi_connect(struct vmm *vmm, uint32_t gsi, int fd, bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return kvm_ioctl(kvm_of(vmm)->fd, KVM_IRQFD, &irqfd);
}

/* Has the lock. A slot that has the place, or a free one; KVM_ROMS_MAX if there is none. */
static unsigned find_rom(const struct kvm *kvm, uint64_t gpa, bool on)
{
	for (unsigned i = 0; i < KVM_ROMS_MAX; i++)
		if (on ? !kvm->roms[i].len : kvm->roms[i].len && kvm->roms[i].gpa == gpa)
			return i;
	return KVM_ROMS_MAX;
}

static int op_rom(struct vmm *vmm, uint64_t gpa, void *mem, uint64_t len, bool on)
{
	struct kvm *kvm = kvm_of(vmm);
	struct kvm_userspace_memory_region slot = {
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = gpa,
		.memory_size = on ? len : 0,
		.userspace_addr = (uintptr_t)mem,
	};
	unsigned i;
	int rc = -ENOSPC;

	pthread_mutex_lock(&kvm->lock);
	i = find_rom(kvm, gpa, on);
	slot.slot = GM_REGIONS_MAX + i;
	if (i < KVM_ROMS_MAX)
		rc = kvm_ioctl(kvm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
	if (!rc) {
		kvm->roms[i].gpa = gpa;
		kvm->roms[i].len = slot.memory_size;
	}
	pthread_mutex_unlock(&kvm->lock);
	return rc;
}

static const struct vmm_ops ops = {
	.doorbell = op_doorbell,
	.irq_line = op_irq_line,
	.msi_alloc = op_msi_alloc,
	.msi_set = op_msi_set,
	.msi_connect = op_msi_connect,
	.rom = op_rom,
};

int kvm_set_fixed_routes(
	struct kvm *kvm, const struct kvm_irq_routing_entry *entries, unsigned n, struct err *e)
{
	int rc = grow_routes(kvm, n);

	if (!rc) {
		memcpy(kvm->routes->entries, entries, n * sizeof(*entries));
		kvm->nfixed = n;
		rc = set_routes(kvm);
	}
	return rc ? err_sys(e, rc, "cannot set the interrupt routing of KVM") : 0;
}

static int check_caps(const struct kvm *kvm, struct err *e)
{
	static const struct {
		unsigned cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
		{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
		{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
		{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(needed); i++)
		if (!kvm_cap(kvm, needed[i].cap))
			return err_set(e, -ENOTSUP,
				"the host's KVM lacks %s: Linux 4.11 or later is needed",
				needed[i].name);
	return 0;
}

/* Type 0 has 40 bits of guest-physical address on arm64, which some processors do not. */
static unsigned long vm_type(struct kvm *kvm)
{
	int bits = kvm_ioctl_val(kvm->sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	kvm->vmm.addr_bits = bits > 0 && bits < ADDR_BITS ? (unsigned)bits : ADDR_BITS;
	return kvm->vmm.addr_bits < ADDR_BITS ? KVM_VM_TYPE_ARM_IPA_SIZE(kvm->vmm.addr_bits) : 0;
}

static int open_kvm(struct kvm *kvm, struct err *e)
{
	int rc;

	kvm->sys_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->sys_fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT,
			"/dev/kvm does not exist: the host needs hardware "
			"virtualization and its driver (x86: the module kvm_intel or kvm_amd)");
	if (kvm->sys_fd < 0)
		return err_sys(e, -errno, "cannot open /dev/kvm (is this user in the group kvm?)");
	rc = kvm_ioctl_val(kvm->sys_fd, KVM_GET_API_VERSION, 0);
	if (rc != KVM_API_VERSION)
		return err_set(e, -ENOTSUP, "/dev/kvm has API version %d, %d is needed", rc,
			KVM_API_VERSION);
	rc = kvm_ioctl_val(kvm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (rc < (int)sizeof(struct kvm_run))
		return err_set(e, -ENOTSUP, "/dev/kvm has a run structure of %d bytes", rc);
	kvm->run_size = (size_t)rc;
	kvm->fd = kvm_ioctl_val(kvm->sys_fd, KVM_CREATE_VM, vm_type(kvm));
	if (kvm->fd < 0)
		return err_sys(e, kvm->fd, "cannot create a virtual machine (KVM_CREATE_VM)");
	return 0;
}

int kvm_init(struct kvm *kvm, struct ev_loop *loop, const struct log *log, struct err *e)
{
	int rc;

	*kvm = (struct kvm){ .sys_fd = -1, .fd = -1 };
	kvm->vmm.ops = &ops;
	kvm->vmm.loop = loop;
	kvm->vmm.log = log;
	pthread_mutex_init(&kvm->lock, NULL);
	bus_init(&kvm->vmm.mmio);
	bus_init(&kvm->vmm.pio);

	rc = open_kvm(kvm, e);
	if (!rc)
		rc = check_caps(kvm, e);
	if (rc) {
		kvm_finish(kvm);
		return rc;
	}
	kvm->max_routes = (unsigned)kvm_cap(kvm, KVM_CAP_IRQ_ROUTING);
	kvm->any_length = kvm_cap(kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	return 0;
}

void kvm_finish(struct kvm *kvm)
{
	if (!kvm->vmm.ops)
		return;
	close_fd(&kvm->fd);
	close_fd(&kvm->sys_fd);
	gm_clear(&kvm->vmm.gm);
	bus_finish(&kvm->vmm.mmio);
	bus_finish(&kvm->vmm.pio);
	free(kvm->routes);
	pthread_mutex_destroy(&kvm->lock);
	kvm->vmm.ops = NULL;
}

int kvm_add_ram(
	struct kvm *kvm, uint64_t gpa, uint64_t size, int fd, uint64_t offset, struct err *e)
{
	struct gm *gm = &kvm->vmm.gm;
	struct gm_region r = { .gpa = gpa, .size = size, .fd = fd, .fd_offset = offset };
	struct kvm_userspace_memory_region slot = {
		.slot = gm->n,
		.guest_phys_addr = gpa,
		.memory_size = size,
	};
	int rc = gm_map(gm, &r, e);

	if (rc)
		return rc;
	slot.userspace_addr = (uintptr_t)gm_ptr(gm, gpa, size);
	/* Guest RAM in a core dump of the monitor would be somebody's secrets. */
	madvise((void *)(uintptr_t)slot.userspace_addr, size, MADV_DONTDUMP);
	rc = kvm_ioctl(kvm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
	return rc ? err_sys(e, rc, "KVM refuses %" PRIu64 " bytes of guest RAM at 0x%" PRIx64, size,
			    gpa)
		  : 0;
}
