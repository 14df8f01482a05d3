/* As the owner of new user, mount, PID, network, IPC and UTS namespaces, with all capabilities. */
#include <linux/mount.h>
#include <time.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "escape.h"

static long remount_bind(void) { return mount(NULL, "/ro", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long remount_settings(void) {
    return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL);
}
static long remount_devices(void) { return mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long remount_super_block(void) { return mount(NULL, "/", NULL, MS_REMOUNT, NULL); }
static long unmount_bind(void) { return umount2("/ro", MNT_DETACH); }
static long unmount_settings(void) { return umount2("/proc/sys", MNT_DETACH); }
static long unmount_hidden(void) { return umount2("/proc/keys", MNT_DETACH); }
static long unmount_devices(void) { return umount2("/dev", MNT_DETACH); }
static long move_bind(void) { return mount("/ro", "/tmp", NULL, MS_MOVE, NULL); }
static long move_settings(void) { return mount("/proc/sys", "/tmp", NULL, MS_MOVE, NULL); }
static long copy_below_settings(void) { return mount("/proc", "/tmp", NULL, MS_BIND, NULL); }

/* A copy of a read-only bind must be as read-only. */
static long copy_bind(void) {
    if (mount("/ro", "/tmp", NULL, MS_BIND, NULL) < 0) return -1;
    if (mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_BIND, NULL) < 0) return -1;
    return open("/tmp/given", O_WRONLY);
}

static long copy_bind_whole(void) {
    int tree = syscall(SYS_open_tree, AT_FDCWD, "/ro", 1 | 0x8000);
    struct mount_attr clear = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (tree < 0) return -1;
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &clear, sizeof clear) < 0) return -1;
    return openat(tree, "given", O_WRONLY);
}

static long clear_attribute(void) {
    struct mount_attr clear = {.attr_clr = MOUNT_ATTR_RDONLY};
    return syscall(SYS_mount_setattr, AT_FDCWD, "/ro", 0, &clear, sizeof clear);
}

static long map_bind(void) {
    int tree = syscall(SYS_open_tree, AT_FDCWD, "/ro", 1);
    struct mount_attr map = {.attr_set = MOUNT_ATTR_IDMAP};
    map.userns_fd = open("/proc/self/ns/user", O_RDONLY);
    return syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &map, sizeof map);
}

/* Where mounts of the host lie hidden below the root, as systemd leaves them, the kernel grants one. */
static long new_proc(void) {
    if (mount("proc", "/tmp", "proc", 0, NULL) < 0) return -1;
    return open("/tmp/sys/kernel/core_pattern", O_WRONLY);
}
static long new_proc_memory(void) {
    if (mount("proc", "/tmp", "proc", 0, NULL) < 0) return -1;
    return open("/tmp/kcore", O_RDONLY);
}
static long new_proc_trigger(void) {
    if (mount("proc", "/tmp", "proc", 0, NULL) < 0) return -1;
    return open("/tmp/sysrq-trigger", O_WRONLY);
}
static long new_sys(void) {
    if (mount("sys", "/tmp", "sysfs", 0, NULL) < 0) return -1;
    return open("/tmp/kernel/uevent_helper", O_WRONLY);
}

static long new_groups(void) {
    if (unshare(CLONE_NEWCGROUP) < 0) return -1;
    if (mount("groups", "/tmp", "cgroup2", 0, NULL) < 0) return -1;
    return open("/tmp/cgroup.procs", O_WRONLY);
}

static long block_device(void) { return mount("/dev/vda", "/tmp", "ext4", 0, NULL); }
static long debug_fs(void) { return mount("debug", "/tmp", "debugfs", 0, NULL); }
static long trace_fs(void) { return mount("trace", "/tmp", "tracefs", 0, NULL); }
static long security_fs(void) { return mount("security", "/tmp", "securityfs", 0, NULL); }
static long bpf_fs(void) {
    return mount("bpf", "/tmp", "bpf", 0, "delegate_cmds=any");
}

static long with_tmpfs(void) { return mount("x", "/tmp", "tmpfs", 0, NULL); }

static long make_device(void) {
    if (with_tmpfs() < 0) return -1;
    return mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0));
}

static long make_memory(void) {
    if (with_tmpfs() < 0) return -1;
    return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1));
}

static long handle(void) {
    struct {
        struct file_handle head;
        char room[128];
    } handle = {.head.handle_bytes = 128};
    int mount_id, fd = open("/", O_RDONLY);
    if (name_to_handle_at(AT_FDCWD, "/ro/given", &handle.head, &mount_id, 0) < 0) return -1;
    return open_by_handle_at(fd, &handle.head, O_RDONLY);
}

static long is_another_root(const struct stat *before) {
    struct stat now;
    if (stat("/", &now) < 0) return -1;
    return now.st_ino == before->st_ino && now.st_dev == before->st_dev ? refused(EXDEV) : 0;
}

/* The old way out of a changed root. */
static long climb(void) {
    struct stat before;
    stat("/", &before);
    int fd = open("/", O_RDONLY);
    mkdir("/tmp/x", 0755);
    if (chroot("/tmp/x") < 0 || fchdir(fd) < 0) return -1;
    for (int i = 0; i < 50; i++) if (chdir("..") < 0) return -1;
    if (chroot(".") < 0) return -1;
    return is_another_root(&before);
}

static long unmount_root(void) {
    struct stat before;
    stat("/", &before);
    if (umount2("/", MNT_DETACH) < 0) return -1;
    return is_another_root(&before);
}

static long pivot(void) {
    /* A root of our own is no escape; what comes to light below the old one would be. */
    struct stat before, now;
    stat("/", &before);
    if (mount("x", "/tmp", "tmpfs", 0, NULL) < 0 || mkdir("/tmp/old", 0755) < 0) return -1;
    if (syscall(SYS_pivot_root, "/tmp", "/tmp/old") < 0) return -1;
    if (stat("/old", &now) < 0) return -1;
    if (now.st_ino != before.st_ino) return 0;
    return umount2("/old/proc/sys", MNT_DETACH);
}

/* Layers below an overlay of our own: the files must be what they were, and stay so. */
static long overlay(void) {
    if (with_tmpfs() < 0 || mkdir("/tmp/u", 0755) < 0 || mkdir("/tmp/w", 0755) < 0) return -1;
    const char *options = "lowerdir=/ro,upperdir=/ro,workdir=/ro/inner,userxattr";
    return mount("x", "/tmp", "overlay", 0, options);
}

static long name_host_of_slot(void) { return setns(syscall(SYS_pidfd_open, getppid(), 0), CLONE_NEWUTS); }
static long set_time(void) { return clock_settime(0, &(struct timespec){0, 0}); }
static long load_module(void) { return syscall(SYS_init_module, "", 0, ""); }
static long read_log(void) { return syscall(SYS_syslog, 3, (char[100]){0}, 100); }
static long more_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); }
static long core_pattern(void) { return open("/proc/sys/kernel/core_pattern", O_WRONLY); }
static long module_path(void) { return open("/proc/sys/kernel/modprobe", O_WRONLY); }
static long network_settings(void) { return open("/proc/sys/net/ipv4/ip_forward", O_WRONLY); }

/* More namespaces than one job may have. */
static long many_namespaces(void) {
    for (int i = 0; i < 300; i++)
        if (unshare(CLONE_NEWUTS) < 0 || open("/proc/self/ns/uts", O_RDONLY) < 0) return -1;
    return 0;
}

/* Nor more processes as many users, each of whom has a count of his own. */
static long many_users(void) {
    int ends[2];
    pipe(ends);
    for (int number = 1; number <= 10; number++) {
        int pid = fork();
        if (pid < 0) return -1;
        if (pid == 0) {
            if (setresgid(number, number, number) < 0 || setresuid(number, number, number) < 0) {
                write(ends[1], &errno, sizeof errno);
                _exit(0);
            }
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (int i = 0; i < 100; i++) {
                int error = 0, child = fork();
                if (child < 0) error = errno;
                if (child < 0 || i == 99) write(ends[1], &error, sizeof error);
                if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (child <= 0 || i == 99) for (;;) pause();
            }
        }
        int error;
        if (read(ends[0], &error, sizeof error) > 0 && error) return refused(error);
    }
    return 0;
}

/* A limit of processes must hold in there too. */
static long many_processes(void) {
    for (int i = 0; i < 1000; i++) {
        int pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
        if (pid < 0) return -1;
    }
    return 0;
}

const struct attempt in_namespaces[] = {
    {"remount a read-only bind", remount_bind},
    {"remount /proc/sys", remount_settings},
    {"remount /dev", remount_devices},
    {"remount the root's file system", remount_super_block},
    {"unmount a bind", unmount_bind},
    {"unmount what hides /proc/sys", unmount_settings},
    {"unmount what hides /proc/keys", unmount_hidden},
    {"unmount /dev", unmount_devices},
    {"move a bind", move_bind},
    {"move what hides /proc/sys", move_settings},
    {"copy /proc without what hides it", copy_below_settings},
    {"write to a copy of a read-only bind", copy_bind},
    {"write to a whole copy of a read-only bind", copy_bind_whole},
    {"clear an attribute of a bind", clear_attribute},
    {"map the users of a bind", map_bind},
    {"write settings by another proc", new_proc},
    {"read memory by another proc", new_proc_memory},
    {"trigger by another proc", new_proc_trigger},
    {"write to another sysfs", new_sys},
    {"write to another tree of control groups", new_groups},
    {"mount a block device", block_device},
    {"mount debugfs", debug_fs},
    {"mount tracefs", trace_fs},
    {"mount securityfs", security_fs},
    {"mount bpf with powers", bpf_fs},
    {"make a block device", make_device},
    {"make a memory device", make_memory},
    {"open by handle", handle},
    {"climb above the root", climb},
    {"unmount the root", unmount_root},
    {"pivot away", pivot},
    {"write through an overlay", overlay},
    {"enter the parent's namespace", name_host_of_slot},
    {"set the time", set_time},
    {"load a module", load_module},
    {"read the kernel's log", read_log},
    {"gain privileges", more_privileges},
    {"set the pattern of cores", core_pattern},
    {"set the path of modules", module_path},
    {"set the host's network", network_settings},
    {"have very many namespaces", many_namespaces},
    {"open the host's namespaces by their handles", open_namespaces},
    {"have very many processes as many users", many_users},
    {"have very many processes", many_processes},
    {0},
};
