/* Files, their times, modes, attributes and flags, and the room they take. */
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include "pair.h"

/* The first two lie in the root, and a root that was written to is not used again. */
static const char *const PLACES[] = {"/", "/work/deep", "/tmp", "/dev/shm", "/mnt"};
static unsigned first;
#define EACH(place) \
    for (unsigned n_ = first; n_ < sizeof PLACES / sizeof *PLACES; n_++) \
        for (const char *place = PLACES[n_]; place; place = NULL)
#define IN_SCRATCH(leave) static int leave##_in_scratch(void) { return first = 2, leave(); }
static const struct timespec LONG_AGO[2] = {{1000000000, 0}, {1000000000, 0}};

static int at(const char *place, const char *name, char *path) {
    return sprintf(path, "%s/%s", place, name);
}

static int leave_files(void) {
    char path[256];
    EACH(place) {
        at(place, "left", path);
        if (touch(path) < 0) return -1;
    }
    return 0;
}

static int leave_nodes(void) {
    char path[256];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    EACH(place) {
        at(place, "left-fifo", path);
        if (mkfifo(path, 0666) < 0) return -1;
        at(place, "left-link", path);
        if (symlink("/nowhere", path) < 0) return -1;
        at(place, "left-socket", name.sun_path);
        if (bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name) < 0) return -1;
    }
    return 0;
}

static int leave_closed_directories(void) {
    char path[256];
    EACH(place) {
        at(place, "a", path);
        if (mkdir(path, 0755) < 0) return -1;
        at(place, "a/b", path);
        if (mkdir(path, 0755) < 0) return -1;
        at(place, "a/b/c", path);
        if (touch(path) < 0) return -1;
        at(place, "a/b", path);
        if (chmod(path, 0) < 0) return -1;
        at(place, "a", path);
        if (chmod(path, 0) < 0) return -1;
    }
    return 0;
}

/* Made and removed again: nothing must stay but the time. */
static int leave_and_take(void) {
    char path[256];
    EACH(place) {
        at(place, "gone", path);
        if (touch(path) < 0 || unlink(path) < 0) return -1;
    }
    return 0;
}

static void find_files(void) {
    EACH(place) list(place);
}

static int leave_changed_layer(void) { return put("/same", "changed\n"); }
static int leave_layer_time(void) { return utimensat(AT_FDCWD, "/same", LONG_AGO, 0); }
static int leave_layer_mode(void) { return chmod("/same", 0707); }
static int leave_layer_attribute(void) { return setxattr("/same", "user.left", "1", 1, 0); }
static int leave_layer_removed(void) { return unlink("/same"); }
static int leave_layer_renamed(void) { return rename("/file0", "/file00"); }
static int leave_layer_linked(void) { return link("/same", "/linked"); }

/* The layer's file through a descriptor opened anew for writing, and past an open mapping. */
static int leave_layer_reopened(void) {
    char path[64];
    int fd = open("/same", O_RDONLY);
    sprintf(path, "/proc/self/fd/%d", fd);
    return put(path, "reopened\n");
}

static int leave_layer_directory_replaced(void) {
    if (unlink("/etc/passwd") < 0 || rmdir("/etc") < 0 || mkdir("/etc", 0700) < 0) return -1;
    return touch("/etc/new");
}

static void find_layer(void) {
    struct stat status;
    show("/same");
    if (stat("/same", &status) == 0)
        printf("%o %d %d\n", status.st_mode, (int)status.st_nlink, status.st_mtime < 1100000000);
    told("attribute", getxattr("/same", "user.left", NULL, 0));
    list("/");
    list("/etc");
}

static int leave_times(void) {
    EACH(place) if (utimensat(AT_FDCWD, place, LONG_AGO, 0) < 0) return -1;
    return 0;
}

/* Who lists a directory changes the time of its last access. */
static int leave_listing(void) {
    usleep(20000); /* So that a coarse clock goes on. */
    EACH(place) list(place);
    return 0;
}

static void find_times(void) {
    EACH(place) {
        struct stat status;
        if (stat(place, &status) < 0) continue;
        printf("%s old=%d", place, status.st_mtime < 1100000000);
        printf(" listed=%d\n", status.st_atim.tv_sec > status.st_mtim.tv_sec ||
               (status.st_atim.tv_sec == status.st_mtim.tv_sec &&
                status.st_atim.tv_nsec > status.st_mtim.tv_nsec));
    }
}

static int leave_modes(void) {
    EACH(place) if (chmod(place, 02711) < 0) return -1;
    return 0;
}

static void find_modes(void) {
    EACH(place) {
        struct stat status;
        if (stat(place, &status) == 0)
            printf("%s %o %d %d\n", place, status.st_mode, status.st_uid, status.st_gid);
    }
}

static int leave_attributes(void) {
    EACH(place) if (setxattr(place, "user.left", "1", 1, 0) < 0) return -1;
    return 0;
}

static int leave_acls(void) {
    const unsigned acl[] = {2, 0x70001, -1u, 0x70002, getuid(), 0x70004, -1u, 0x70010, -1u,
                            0x50020, -1u};
    EACH(place) if (setxattr(place, "system.posix_acl_default", acl, sizeof acl, 0) < 0) return -1;
    return 0;
}

static int change_flags(const char *place, int added) {
    int flags = 0, fd = open(place, O_RDONLY | O_DIRECTORY);
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return -1;
    if (added >= 0) {
        flags |= added;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) return -1;
    }
    close(fd);
    return flags;
}

static int leave_flags(void) {
    EACH(place) if (change_flags(place, FS_NODUMP_FL | FS_NOATIME_FL) < 0) return -1;
    return 0;
}

static void find_attributes(void) {
    EACH(place) {
        char names[256];
        ssize_t size = listxattr(place, names, sizeof names);
        printf("%s %zd %d\n", place, size, change_flags(place, -1));
    }
}

IN_SCRATCH(leave_files)
IN_SCRATCH(leave_and_take)
IN_SCRATCH(leave_times)
IN_SCRATCH(leave_listing)
IN_SCRATCH(leave_modes)
IN_SCRATCH(leave_attributes)
IN_SCRATCH(leave_acls)
IN_SCRATCH(leave_flags)

static int leave_no_directory(void) {
    if (chdir("/") < 0) return -1;
    return rmdir("/work/deep");
}

static void find_directory(void) { told("work", access("/work/deep", F_OK)); }

static int leave_full(void) {
    static char block[1 << 16];
    const char *const paths[] = {"/tmp/full", "/full", "/mnt/full"};
    for (int i = 0; i < 3; i++) {
        int fd = open(paths[i], O_CREAT | O_WRONLY, 0600);
        if (fd < 0 && errno != ENOSPC) return -1;
        while (write(fd, block, sizeof block) > 0) {}
    }
    return 0;
}

static int leave_no_inodes(void) {
    char path[64];
    for (int i = 0;; i++) {
        sprintf(path, "/tmp/%d", i);
        if (touch(path) < 0) return errno == ENOSPC ? 0 : -1;
    }
}

static void find_room(void) {
    EACH(place) {
        struct statvfs room;
        if (statvfs(place, &room) == 0)
            printf("%s %ld %ld\n", place, room.f_bfree >> 4, room.f_ffree >> 3);
    }
}

/* What all jobs of a slot share. */
static int leave_device(void) { return touch("/dev/left"); }
static int leave_device_removed(void) { return unlink("/dev/zero"); }
static int leave_device_mode(void) { return chmod("/dev/null", 0600); }
/* Who may write to a file may touch it. */
static int leave_device_touched(void) {
    const char *const names[] = {"null", "zero", "full", "random", "urandom", "tty"};
    char path[64];
    for (int i = 0; i < 6; i++) {
        at("/dev", names[i], path);
        if (utimensat(AT_FDCWD, path, NULL, 0) == 0) return 0;
    }
    return -1;
}

static int leave_pressure_touched(void) {
    return utimensat(AT_FDCWD, "/proc/pressure/memory", NULL, 0);
}

static int leave_stream_touched(void) { return futimens(0, NULL); }
static int leave_device_time(void) { return utimensat(AT_FDCWD, "/dev", LONG_AGO, 0); }
static int leave_device_attribute(void) { return setxattr("/dev", "user.left", "1", 1, 0); }
static int leave_init_time(void) { return utimensat(AT_FDCWD, "/proc/1", LONG_AGO, 0); }
static int leave_proc_time(void) { return utimensat(AT_FDCWD, "/proc/uptime", LONG_AGO, 0); }

static void find_shared(void) {
    const char *const paths[] = {"/dev", "/dev/null", "/proc/1", "/proc/uptime"};
    for (int i = 0; i < 4; i++) {
        struct stat status = {0};
        stat(paths[i], &status);
        printf("%s %o %d\n", paths[i], status.st_mode, status.st_mtime < 1100000000);
    }
    list("/dev");
    told("attribute", getxattr("/dev", "user.left", NULL, 0));
}

const struct pair of_files[] = {
    {"files", leave_files, find_files},
    {"fifos, links and sockets", leave_nodes, find_files},
    {"closed directories", leave_closed_directories, find_files},
    {"files that come and go", leave_and_take, find_times},
    {"a changed layer", leave_changed_layer, find_layer},
    {"a layer's times", leave_layer_time, find_layer},
    {"a layer's modes", leave_layer_mode, find_layer},
    {"a layer's attributes", leave_layer_attribute, find_layer},
    {"a file of a layer removed", leave_layer_removed, find_layer},
    {"a file of a layer renamed", leave_layer_renamed, find_layer},
    {"a file of a layer linked", leave_layer_linked, find_layer},
    {"a file of a layer reopened", leave_layer_reopened, find_layer},
    {"a directory of a layer replaced", leave_layer_directory_replaced, find_layer},
    {"times of directories", leave_times, find_times},
    {"times of access", leave_listing, find_times},
    {"modes of directories", leave_modes, find_modes},
    {"extended attributes", leave_attributes, find_attributes},
    {"access control lists", leave_acls, find_attributes},
    {"flags of directories", leave_flags, find_attributes},
    {"a working directory removed", leave_no_directory, find_directory},
    {"full file systems", leave_full, find_room},
    {"file systems without inodes", leave_no_inodes, find_room},
    {"a file in /dev", leave_device, find_shared},
    {"a device removed", leave_device_removed, find_shared},
    {"a device's mode", leave_device_mode, find_shared},
    {"times of devices", leave_device_touched, find_shared},
    {"times of pressure", leave_pressure_touched, find_shared},
    {"times of streams", leave_stream_touched, find_shared},
    {"times of /dev", leave_device_time, find_shared},
    {"attributes of /dev", leave_device_attribute, find_shared},
    {"times of process 1", leave_init_time, find_shared},
    {"times of /proc", leave_proc_time, find_shared},
    {"scratch: files", leave_files_in_scratch, find_files},
    {"scratch: files that come and go", leave_and_take_in_scratch, find_times},
    {"scratch: times of directories", leave_times_in_scratch, find_times},
    {"scratch: times of access", leave_listing_in_scratch, find_times},
    {"scratch: modes", leave_modes_in_scratch, find_modes},
    {"scratch: extended attributes", leave_attributes_in_scratch, find_attributes},
    {"scratch: access control lists", leave_acls_in_scratch, find_attributes},
    {"scratch: flags", leave_flags_in_scratch, find_attributes},
    {0},
};
