/* Whether /dev/kvm really runs a guest: a few bytes of real-mode code that write to a port and halt. Having the device, and even
 * making a machine, proves nothing: nested hosts are known to offer both and to fail at the first instruction. */
#include "supervisor.h"
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUEST_PAGE = 0x1000, ENOUGH_EXITS = 16, PROOF_PORT = 0x10, PROOF = 42, GIVE_UP_SECONDS = 5 };

static int said(const char *what)
{
	printf("%s: %m\n", what);
	return 1;
}

#ifdef __x86_64__
/* mov al, 42; out 0x10, al; hlt */
static const unsigned char guest_code[] = { 0xb0, PROOF, 0xe6, PROOF_PORT, 0xf4 };

static int start_at_code(int vcpu)
{
	struct kvm_sregs segments;
	struct kvm_regs registers = { .rip = GUEST_PAGE, .rflags = 2 };
	if (ioctl(vcpu, KVM_GET_SREGS, &segments) < 0) return -1;
	segments.cs.base = 0;
	segments.cs.selector = 0;
	return ioctl(vcpu, KVM_SET_SREGS, &segments) < 0 ? -1 : ioctl(vcpu, KVM_SET_REGS, &registers);
}

static int run_to_proof(int vcpu, struct kvm_run *run)
{
	bool proved = false;
	for (int exits = 0; exits < ENOUGH_EXITS; exits++) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) return said("the guest's first instructions could not be run");
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PROOF_PORT)
			proved = ((unsigned char *)run)[run->io.data_offset] == PROOF;
		else if (run->exit_reason == KVM_EXIT_HLT && proved)
			return puts("a guest ran") < 0;
		else
			break;
	}
	printf("the guest stopped for reason %u before it was done\n", run->exit_reason);
	return 1;
}

int kvm_probe(void)
{
	alarm(GIVE_UP_SECONDS); /* A host that hangs here (it happens) ends us, which is answer enough. */
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) return said("/dev/kvm could not be opened");
	int machine = ioctl(kvm, KVM_CREATE_VM, 0);
	if (machine < 0) return said("no virtual machine could be made");
	unsigned char *memory = mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) return said("no memory for the guest");
	memcpy(memory, guest_code, sizeof guest_code);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GUEST_PAGE, .memory_size = GUEST_PAGE, .userspace_addr = (uintptr_t)memory
	};
	if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) < 0) return said("the guest was given no memory");
	int vcpu = ioctl(machine, KVM_CREATE_VCPU, 0);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < (int)sizeof(struct kvm_run)) return said("the guest was given no processor");
	struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || start_at_code(vcpu) < 0) return said("the guest's processor could not be set");
	return run_to_proof(vcpu, run);
}
#else
int kvm_probe(void)
{
	puts("there is no probe guest for this processor yet");
	return 1;
}
#endif
