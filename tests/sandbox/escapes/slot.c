/* At the slot: the process that made the job, and has all powers over its namespaces. */
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include "escape.h"

static long attach(void) { return ptrace(PTRACE_ATTACH, SLOT, NULL, NULL); }
static long seize(void) { return ptrace(PTRACE_SEIZE, SLOT, NULL, NULL); }

static char byte;
static const struct iovec OURS = {&byte, 1}, THEIRS = {(void *)0x400000, 1};
static long read_slot(void) { return process_vm_readv(SLOT, &OURS, 1, &THEIRS, 1, 0); }
static long write_slot(void) { return process_vm_writev(SLOT, &OURS, 1, &THEIRS, 1, 0); }

static long open_file(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", SLOT, name);
    return open(path, O_RDONLY);
}

static long any_of(const char *const *names) {
    for (; *names; names++) {
        if (open_file(*names) < 0) continue;
        fprintf(stderr, "%s\n", *names);
        return 0;
    }
    return -1;
}

static long open_secrets(void) {
    return any_of((const char *const[]){"mem", "environ", "fd", "cwd", "root", "root/layers",
                                        "map_files", "fdinfo", "fd/0", NULL});
}

/* These open, and then say nothing. */
static long read_secrets(void) {
    const char *const names[] = {"maps", "smaps", "auxv", "syscall", "stack", "io", "numa_maps"};
    char content[64];
    for (int i = 0; i < 7; i++) {
        int fd = open_file(names[i]);
        if (fd >= 0 && read(fd, content, sizeof content) > 0) return 0;
    }
    return refused(EACCES);
}

/* Which descriptors a template has user 0 may see, whose files of it are; not where they lead. */
static long open_content(void) {
    return any_of((const char *const[]){"mem", "environ", "cwd", "root", "root/layers", "fd/0",
                                        "fd/3", "exe", NULL});
}

static long open_thread(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", SLOT, SLOT, name);
    return open(path, O_RDONLY);
}

static long open_secrets_of_thread(void) {
    return open_thread("mem") < 0 && open_thread("root") < 0 && open_thread("fd/0") < 0 ? -1 : 0;
}

static long write_settings(void) {
    const char *const names[] = {"timerslack_ns", "comm", "setgroups", "uid_map", "attr/current",
                                 "oom_score_adj", "coredump_filter", "autogroup", "clear_refs"};
    char path[64];
    /* User 0 may write the latter four of a template: then there is another for the next job. */
    for (int i = 0; i < (user == 0 && SLOT != 1 ? 5 : 9); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", SLOT, names[i]);
        if (put(path, "1") == 0) return 0;
    }
    return refused(EACCES);
}

static long look(const char *name) {
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/%s", SLOT, name);
    return readlink(path, target, sizeof target);
}

static long look_at_program(void) { return look("exe"); }
static long look_at_namespace(void) { return look("ns/mnt"); }

static long enter(void) {
    const char *const names[] = {"mnt", "user", "pid", "net", "ipc", "uts", "cgroup"};
    char path[64];
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", SLOT, names[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && setns(fd, 0) == 0) return 0;
    }
    return refused(EACCES);
}

static long enter_by_descriptor(void) {
    return setns(syscall(SYS_pidfd_open, SLOT, 0), CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET);
}

/* Linux 6.11 and later hand them out by the descriptor of a process. */
static long take_namespaces(void) {
    int descriptor = syscall(SYS_pidfd_open, SLOT, 0);
    for (int kind = 1; kind <= 10; kind++)
        if (ioctl(descriptor, _IO(0xff, kind), 0) >= 0) return 0;
    return -1;
}

/* Its descriptor is one file for all who open it, as long as it lives. */
static long mark(void) {
    int descriptor = syscall(SYS_pidfd_open, SLOT, 0);
    const struct timespec past[2] = {{1, 0}, {1, 0}};
    if (fsetxattr(descriptor, "user.left", "1", 1, 0) == 0) return 0;
    if (fsetxattr(descriptor, "trusted.left", "1", 1, 0) == 0) return 0;
    if (fchmod(descriptor, 0777) == 0 || futimens(descriptor, past) == 0) return 0;
    return refused(EPERM);
}

static long reap_memory(void) { return syscall(448, syscall(SYS_pidfd_open, SLOT, 0), 0); }

/* With the flag that has a signal go to a whole process group, by that of its leader. */
static long kill_group(void) {
    return syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, SLOT, 0), SIGKILL, NULL, 4);
}

static long take_descriptors(void) {
    int descriptor = syscall(SYS_pidfd_open, SLOT, 0);
    for (int fd = 0; fd < 40; fd++)
        if (syscall(SYS_pidfd_getfd, descriptor, fd, 0) >= 0) return 0;
    return refused(EPERM);
}

/* Whatever is open beyond the standard streams was leaked; none of these may lead anywhere. */
static long use_leaked_descriptors(void) {
    for (int fd = 3; fd < 4096; fd++) {
        if (fcntl(fd, F_GETFD) < 0) continue;
        if (setns(fd, 0) == 0 || fchdir(fd) == 0 || fcntl(fd, F_DUPFD, 0) >= 0) return 0;
    }
    return refused(EBADF);
}

static long go_on_after(const int *signals) {
    for (; *signals; signals++)
        if (kill(SLOT, *signals) < 0 && errno != EPERM) return 0;
    /* That it still buries orphans shows that it lives and is not stopped; the test sees the rest. */
    return refused(ESRCH);
}

static long kill_slot(void) {
    return go_on_after((const int[]){SIGKILL, SIGSTOP, SIGTSTP, SIGTERM, SIGINT, SIGHUP, SIGSEGV,
                                     SIGXCPU, SIGPIPE, SIGALRM, 33, 34, 64, 0});
}

static long kill_by_owner(void) {
    int ends[2];
    pipe(ends);
    return fcntl(ends[0], F_SETOWN, SLOT) < 0 ? -1 : go_on_after((const int[]){SIGIO, 0});
}

static long limit(void) {
    struct rlimit none = {0, 0};
    return prlimit(SLOT, RLIMIT_NOFILE, &none, NULL);
}

static long limit_time(void) {
    struct rlimit none = {0, 0};
    return prlimit(SLOT, RLIMIT_CPU, &none, NULL);
}

static long compare(void) { return syscall(SYS_kcmp, getpid(), SLOT, 0, 0, 0); }
static long advise(void) { return syscall(SYS_process_madvise, syscall(SYS_pidfd_open, SLOT, 0), &THEIRS, 1, 21, 0); }
static long move_pages_of(void) { return syscall(SYS_move_pages, SLOT, 0, NULL, NULL, NULL, 0); }
static long robust_list(void) { return syscall(SYS_get_robust_list, SLOT, &(void *){0}, &(size_t){0}); }
static long join_group(void) { return setpgid(0, SLOT); }
static long urge(void) { return setpriority(PRIO_PROCESS, 0, -5); }
static long real_time(void) { return sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){5}); }
static long more_files(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max++;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

static long spare_from_oom(void) { return put("/proc/self/oom_score_adj", "-1000"); }

const struct attempt at_slot[] = {
    {"attach to the slot", attach},
    {"seize the slot", seize},
    {"read the slot's memory", read_slot},
    {"write to the slot's memory", write_slot},
    {"open the slot's secrets", open_secrets},
    {"open the secrets of the slot's thread", open_secrets_of_thread},
    {"read the slot's secrets", read_secrets},
    {"write the slot's settings", write_settings},
    {"look at the slot's program", look_at_program},
    {"look at the slot's namespaces", look_at_namespace},
    {"enter the slot's namespaces", enter},
    {"enter the slot's namespaces by its descriptor", enter_by_descriptor},
    {"take the slot's descriptors", take_descriptors},
    {"take the slot's namespaces by its descriptor", take_namespaces},
    {"mark the slot's descriptor", mark},
    {"reap the slot's memory", reap_memory},
    {"kill the slot's group", kill_group},
    {"use leaked descriptors", use_leaked_descriptors},
    {"kill the slot", kill_slot},
    {"have the slot signalled", kill_by_owner},
    {"limit the slot's files", limit},
    {"limit the slot's time", limit_time},
    {"compare with the slot", compare},
    {"advise the slot's memory", advise},
    {"move the slot's pages", move_pages_of},
    {"read the slot's robust list", robust_list},
    {"join the slot's process group", join_group},
    {"be urgent", urge},
    {"be real-time", real_time},
    {"have more files", more_files},
    {"be spared when memory is short", spare_from_oom},
    {0},
};

/* It may be ended, and its limits set: then there is another one for the next job. */
const struct attempt at_template[] = {
    {"attach to the template", attach},
    {"seize the template", seize},
    {"read the template's memory", read_slot},
    {"write to the template's memory", write_slot},
    {"open the template's secrets", open_content},
    {"open the secrets of the template's thread", open_secrets_of_thread},
    {"read the template's secrets", read_secrets},
    {"write the template's settings", write_settings},
    {"look at the template's program", look_at_program},
    {"look at the template's namespaces", look_at_namespace},
    {"enter the template's namespaces", enter},
    {"enter the template's namespaces by its descriptor", enter_by_descriptor},
    {"take the template's descriptors", take_descriptors},
    {"take the template's namespaces by its descriptor", take_namespaces},
    {"mark the template's descriptor", mark},
    {"reap the template's memory", reap_memory},
    {"compare with the template", compare},
    {"advise the template's memory", advise},
    {"move the template's pages", move_pages_of},
    {"read the template's robust list", robust_list},
    {"join the template's process group", join_group},
    {0},
};
