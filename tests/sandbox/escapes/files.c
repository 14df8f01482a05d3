/* At the files of the host, of the layers, of read-only binds and roots. */
#include <ftw.h>
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "escape.h"

static long remount_bind(void) { return mount(NULL, "/ro", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long remount_root(void) { return mount(NULL, "/", NULL, MS_REMOUNT, NULL); }
static long write_bind(void) { return open("/ro/given", O_WRONLY); }
static long write_bind_at_once(void) { return open("/ro", O_TMPFILE | O_RDWR, 0600); }
static long truncate_bind(void) { return truncate("/ro/given", 0); }
static long mode_of_bind(void) { return chmod("/ro/given", 0777); }
static long time_of_bind(void) { return utimensat(AT_FDCWD, "/ro/given", NULL, 0); }
static long attribute_of_bind(void) { return setxattr("/ro/given", "user.x", "1", 1, 0); }
static long link_from_bind(void) { return link("/ro/given", "/tmp/given"); }
static long rename_in_bind(void) { return rename("/ro/given", "/ro/taken"); }

/* A descriptor opened to read, opened anew to write; the file itself through its descriptor. */
static long reopen_bind(void) {
    char path[64];
    sprintf(path, "/proc/self/fd/%d", open("/ro/given", O_RDONLY));
    return open(path, O_WRONLY);
}

static long root_of_process(void) { return open("/proc/self/root/ro/given", O_WRONLY); }
static long bind_below(void) { return open("/ro/inner/given", O_WRONLY); }
static long mount_over(void) { return mount("none", "/tmp", "tmpfs", 0, NULL); }
static long clone_mounts(void) { return syscall(SYS_open_tree, AT_FDCWD, "/", 1); }
static long pick_root(void) { return syscall(SYS_fspick, AT_FDCWD, "/", 0); }
static long unmount_proc(void) { return umount2("/proc/sys", MNT_DETACH); }
static long unmount_root(void) { return umount2("/", MNT_DETACH); }
static long pivot(void) { return syscall(SYS_pivot_root, "/tmp", "/tmp"); }
static long change_root(void) { return chroot("/tmp"); }

static long is_above(const char *path) {
    struct stat root, found;
    if (stat("/", &root) < 0 || stat(path, &found) < 0) return -1;
    return root.st_ino == found.st_ino && root.st_dev == found.st_dev ? refused(EXDEV) : 0;
}

static long climb(void) { return is_above("/../../../.."); }

static long climb_from_mount(void) { return is_above("/tmp/.."); }

static long handle(void) {
    struct {
        struct file_handle head;
        char room[128];
    } handle = {.head.handle_bytes = 128};
    int mount_id, fd = open("/", O_RDONLY);
    if (name_to_handle_at(AT_FDCWD, "/ro/given", &handle.head, &mount_id, 0) < 0) return -1;
    return open_by_handle_at(fd, &handle.head, O_RDONLY);
}

static long make_device(void) { return mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)); }
static long make_memory(void) { return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)); }

/* Another user's rights by a bit of the file's. */
static long set_user_bit(void) {
    if (put("/tmp/x", "") < 0) close(open("/tmp/x", O_CREAT | O_WRONLY, 0755));
    return chown("/tmp/x", getuid() + 1, -1);
}

/* A program of the host that does as its owner may. */
static long run_as_owner(void) {
    int status = 0, pid = fork();
    if (pid == 0) {
        execl("/ro/of-owner", "who", "who", NULL);
        _exit(errno);
    }
    waitpid(pid, &status, 0);
    if (WEXITSTATUS(status) == 1) return 0;
    return refused(WEXITSTATUS(status) ? WEXITSTATUS(status) : EPERM);
}

static long set_flag(const char *path, int flag) {
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    return fd < 0 ? -1 : ioctl(fd, FS_IOC_SETFLAGS, &flag);
}

static long make_immutable(void) { return set_flag("/tmp/i", FS_IMMUTABLE_FL); }
static long make_immutable_in_root(void) { return set_flag("/i", FS_IMMUTABLE_FL); }
static long make_whiteout(void) { return mknod("/whiteout", S_IFCHR, 0); }
static long mark_for_overlay(void) {
    return setxattr("/tmp", "trusted.overlay.opaque", "y", 1, 0);
}
static long touch_device(void) { return utimensat(AT_FDCWD, "/dev/null", NULL, 0); }

static long set_capability(void) {
    const unsigned char all[20] = {1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    close(open("/tmp/y", O_CREAT | O_WRONLY, 0755));
    return setxattr("/tmp/y", "security.capability", all, sizeof all, 0);
}

static long count;
static int is_written;
static int try_to_write(const char *path, const struct stat *status, int kind, struct FTW *where) {
    if (kind != FTW_F) return 0;
    int fd = open(path, O_WRONLY | O_NONBLOCK);
    if (fd < 0) return 0;
    /* Some of the slot's files are open to all, and only a write is refused. */
    if (!is_written || write(fd, "0", 1) >= 0) {
        fprintf(stderr, "%s\n", path);
        count++;
    }
    close(fd);
    return 0;
}

static long walk(const char *top) {
    if (nftw(top, try_to_write, 20, FTW_PHYS) < 0) return -1;
    return count ? 0 : refused(EROFS);
}

static long write_settings(void) { return walk("/proc/sys"); }
static long write_devices_of_kernel(void) { return walk("/sys"); }
static long write_irqs(void) { return walk("/proc/irq"); }
static long write_init(void) { return is_written = 1, walk("/proc/1"); }
static long trigger(void) { return put("/proc/sysrq-trigger", "h"); }
static long read_log(void) {
    int fd = open("/proc/kmsg", O_RDONLY | O_NONBLOCK);
    if (fd >= 0) return 0;
    fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    if (fd >= 0) return 0;
    return syscall(SYS_syslog, 3, (char[100]){0}, 100);
}

static long empty_file(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    return read(fd, &byte, 1) > 0 ? 0 : refused(ENODATA);
}

static long read_memory(void) { return empty_file("/proc/kcore"); }
static long read_keys(void) { return empty_file("/proc/keys"); }
static long read_timers(void) { return empty_file("/proc/timer_list"); }
static long read_loads(void) { return empty_file("/proc/sched_debug"); }

static long type_for_others(void) {
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCSTI, "x") == 0) return 0;
    int fd = open("/dev/tty", O_RDWR);
    return fd < 0 ? -1 : ioctl(fd, TIOCSTI, "x");
}

static long console(void) { return open("/dev/console", O_RDWR); }

/* The test listens there. */
static long reach_abstract_socket(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = strlen(name_on_host);
    memcpy(name.sun_path + 1, name_on_host, length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

const struct attempt at_files[] = {
    {"remount a read-only bind", remount_bind},
    {"remount the root", remount_root},
    {"write to a read-only bind", write_bind},
    {"make a nameless file in a read-only bind", write_bind_at_once},
    {"truncate in a read-only bind", truncate_bind},
    {"change a mode in a read-only bind", mode_of_bind},
    {"change a time in a read-only bind", time_of_bind},
    {"set an attribute in a read-only bind", attribute_of_bind},
    {"link out of a read-only bind", link_from_bind},
    {"rename in a read-only bind", rename_in_bind},
    {"reopen a descriptor of a read-only bind", reopen_bind},
    {"write through the root of a process", root_of_process},
    {"write deep in a read-only bind", bind_below},
    {"hide a file of a layer by a device", make_whiteout},
    {"mount", mount_over},
    {"copy mounts", clone_mounts},
    {"configure the root", pick_root},
    {"unmount what hides /proc/sys", unmount_proc},
    {"unmount the root", unmount_root},
    {"pivot", pivot},
    {"change the root", change_root},
    {"climb above the root", climb},
    {"climb above a mount's root", climb_from_mount},
    {"open by handle", handle},
    {"make a block device", make_device},
    {"make a memory device", make_memory},
    {"give a file away", set_user_bit},
    {"give a file capabilities", set_capability},
    {"run a program as its owner", run_as_owner},
    {"make a file immutable", make_immutable},
    {"make a file of the root immutable", make_immutable_in_root},
    {"mark a directory for an overlay of root's", mark_for_overlay},
    {"touch a device", touch_device},
    {"write to /proc/sys", write_settings},
    {"write to /sys", write_devices_of_kernel},
    {"write to /proc/irq", write_irqs},
    {"write to the slot's files", write_init},
    {"trigger the kernel", trigger},
    {"read the kernel's memory", read_memory},
    {"read the kernel's log", read_log},
    {"read the host's keys", read_keys},
    {"read the host's timers", read_timers},
    {"read the host's run queues", read_loads},
    {"type for others", type_for_others},
    {"open the console", console},
    {"reach an abstract socket of the host", reach_abstract_socket},
    {0},
};
