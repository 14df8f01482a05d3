/* At the machine and at the parts of the kernel that know no namespaces. */
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <net/if.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <grp.h>
#include <sys/timex.h>
#include "escape.h"

static long become_another(void) { return setuid(getuid() + 1); }
static long become_many(void) { return setgroups(1, &(gid_t){0}); }

static long gain_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct all[2] = {{-1u, -1u, -1u}, {-1u, -1u, -1u}};
    return syscall(SYS_capset, &header, all);
}

static long gain_ambient(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0); }
static long gain_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); }
static long unlock_bits(void) { return prctl(PR_SET_SECUREBITS, 0, 0, 0, 0); }
static long drop_filter(void) { return prctl(PR_SET_SECCOMP, 0, 0, 0, 0); }
static long new_mounts(void) { return unshare(CLONE_NEWNS); }
static long new_network(void) { return unshare(CLONE_NEWNET); }
static long new_file_system(void) { return syscall(SYS_fsopen, "tmpfs", 0); }

static long restart(void) { return reboot(RB_AUTOBOOT); }
static long swap(void) { return swapon("/tmp/swap", 0); }
static long account(void) { return acct("/tmp/account"); }
static long set_time(void) { return settimeofday(&(struct timeval){0, 0}, NULL); }
static long adjust_time(void) { return adjtimex(&(struct timex){.modes = ADJ_TICK, .tick = 9000}); }
static long name_host(void) { return sethostname("x", 1); }
static long name_domain(void) { return setdomainname("x", 1); }
static long quota(void) { return quotactl(QCMD(Q_SYNC, USRQUOTA), "/dev/vda", 0, NULL); }
static long load_module(void) { return syscall(SYS_init_module, "", 0, ""); }
static long load_kernel(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static long load_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0); }
static long use_ring(void) { return syscall(SYS_io_uring_setup, 1, (char[256]){0}); }
static long fault_in_user(void) { return syscall(SYS_userfaultfd, 1); }
static long add_key(void) { return syscall(SYS_add_key, "user", "x", "1", 1, -4); }
static long use_keys(void) { return syscall(SYS_keyctl, 0, -3, 1); }
static long watch_mounts(void) { return syscall(SYS_fanotify_init, 4, O_RDONLY); }
static long packets(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long raw(void) { return socket(AF_INET, SOCK_RAW, 1); }
static long hypervisor(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
/* The handles of those that were there first have well-known numbers; Linux 6.18 opens them. */
long open_namespaces(void) {
    struct {
        unsigned bytes;
        int type;
        unsigned long long id;
        unsigned kind, number;
    } handle = {16, 0xf1, 0, 0, 0};
    static const unsigned all[][2] = {
        {CLONE_NEWUSER, 0xeffffffd}, {CLONE_NEWPID, 0xeffffffc}, {CLONE_NEWIPC, 0xefffffff},
        {CLONE_NEWUTS, 0xeffffffe}, {CLONE_NEWCGROUP, 0xeffffffb}, {CLONE_NEWNS, 0xeffffff8},
        {CLONE_NEWNET, 0xeffffff9}, {CLONE_NEWNS, 0}, {CLONE_NEWNET, 0}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        for (handle.id = 0; handle.id < 40; handle.id++) {
            handle.kind = all[i][0], handle.number = all[i][1];
            if (syscall(SYS_open_by_handle_at, -10003, &handle, O_RDONLY) >= 0) return 0;
        }
    return -1;
}

/* Mount namespaces are numbered more or less one by one. */
static long list_mounts(void) {
    struct {
        unsigned size, spare;
        unsigned long long mount, from, name_space;
    } request = {32, 0, -1ull, 0, 0};
    unsigned long long own = 0, found[8];
    ioctl(open("/proc/self/ns/mnt", O_RDONLY), _IOR(0xb7, 5, unsigned long long), &own);
    /* Who may make some sees those he made before. */
    for (int i = 1; i < 2000 && unshare(CLONE_NEWNS) < 0; i++) {
        request.name_space = i < 1000 || own < 2000 ? i : own + i - 1500;
        if (request.name_space != own && syscall(458, &request, found, 8, 0) >= 0) return 0;
    }
    return refused(EPERM);
}

static long audit_log(void) {
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
    return fd < 0 ? -1 : bind(fd, (void *)&name, sizeof name);
}

static long crypto(void) { return socket(AF_ALG, SOCK_SEQPACKET, 0); }
static long bluetooth(void) { return socket(AF_BLUETOOTH, SOCK_RAW, 1); }

static long measure(void) {
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes};
    return syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0);
}

static long start_device(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &request);
}

#ifdef __x86_64__
/* The same calls by their other numbers. */
static long old_call(long number, long first, long second) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second) : "memory");
    return result < 0 ? refused(-result) : result;
}

static long keys_of_i386(void) { return old_call(288, 0, -3); }
static long log_of_i386(void) { return old_call(103, 9, 0); }
static long ring_of_i386(void) { return old_call(425, 1, 0); }
static long limits_of_i386(void) { return old_call(340, 1, 7); }
static long hypervisor_of_i386(void) { return old_call(359, AF_VSOCK, SOCK_STREAM); }
static long keys_of_x32(void) { return syscall(0x40000000 | SYS_keyctl, 0, -3, 1); }
static long ports(void) { return ioperm(0x80, 1, 1); }
static long all_ports(void) { return iopl(3); }
#endif

#ifdef __aarch64__
/* The same calls by their other numbers, in a program that ends with the error of the only one. */
static long old_call(unsigned number, unsigned first, unsigned second) {
    unsigned program[] = {
        /* the header of a file for 32-bit ARM, and its one segment */
        0x464c457f, 0x00010101, 0, 0, 0x00280002, 1, 0x10054, 52, 0, 0x05000000, 0x00200034, 1, 0,
        1, 0, 0x10000, 0x10000, 124, 124, 5, 0x10000,
        0xe59f7014, 0xe59f0014, 0xe59f1014, 0xef000000, /* load the three below, call */
        0xe2600000, 0xe3a07001, 0xef000000,             /* negate the result, exit with it */
        number, first, second,
    };
    int file = memfd_create("call", 0), status;
    if (write(file, program, sizeof program) != sizeof program) return -1;
    pid_t child = fork();
    if (child == 0) {
        fexecve(file, (char *[]){"call", NULL}, (char *[]){NULL});
        /* Many processors have no such mode, and then the kernel has no such personality. */
        _exit(errno == ENOEXEC && personality(PER_LINUX32) < 0 ? ENOSYS : 0);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 0;
    /* What is no error is a negative result, as a byte. */
    status = WEXITSTATUS(status);
    return status && status < 134 ? refused(status) : 0;
}

static long keys_of_arm(void) { return old_call(311, 0, -3); }
static long log_of_arm(void) { return old_call(103, 9, 0); }
static long ring_of_arm(void) { return old_call(425, 1, 0); }
static long limits_of_arm(void) { return old_call(369, 1, 7); }
static long hypervisor_of_arm(void) { return old_call(281, AF_VSOCK, SOCK_STREAM); }
#endif

const struct attempt at_kernel[] = {
    {"become another user", become_another},
    {"have other groups", become_many},
    {"gain capabilities", gain_capabilities},
    {"gain ambient capabilities", gain_ambient},
    {"gain privileges", gain_privileges},
    {"unlock security bits", unlock_bits},
    {"drop the filter", drop_filter},
    {"have new mounts", new_mounts},
    {"have a new network", new_network},
    {"have a new file system", new_file_system},
    {"restart", restart},
    {"swap", swap},
    {"account", account},
    {"set the time", set_time},
    {"adjust the time", adjust_time},
    {"name the host", name_host},
    {"name the domain", name_domain},
    {"set quotas", quota},
    {"load a module", load_module},
    {"load a kernel", load_kernel},
    {"load a program into the kernel", load_bpf},
    {"use rings", use_ring},
    {"handle faults", fault_in_user},
    {"add a key", add_key},
    {"use keys", use_keys},
    {"watch mounts", watch_mounts},
    {"send packets", packets},
    {"send raw packets", raw},
    {"reach the hypervisor", hypervisor},
    {"open the host's namespaces by their handles", open_namespaces},
    {"list the mounts of others", list_mounts},
    {"read the host's audit log", audit_log},
    {"use the kernel's ciphers", crypto},
    {"use Bluetooth", bluetooth},
    {"measure the machine", measure},
    {"start a network device", start_device},
#ifdef __x86_64__
    {"use keys by i386", keys_of_i386},
    {"reach the slot's limits by i386", limits_of_i386},
    {"read the log by i386", log_of_i386},
    {"use rings by i386", ring_of_i386},
    {"reach the hypervisor by i386", hypervisor_of_i386},
    {"use keys by x32", keys_of_x32},
    {"use a port", ports},
    {"use all ports", all_ports},
#endif
#ifdef __aarch64__
    {"use keys by arm", keys_of_arm},
    {"reach the slot's limits by arm", limits_of_arm},
    {"read the log by arm", log_of_arm},
    {"use rings by arm", ring_of_arm},
    {"reach the hypervisor by arm", hypervisor_of_arm},
#endif
    {0},
};
