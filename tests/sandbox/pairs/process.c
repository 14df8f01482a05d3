/* Processes that stay, and what a process hands on to its children and through exec. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "pair.h"

static void stay(int is_stopped) {
    setsid();
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (is_stopped) raise(SIGSTOP);
    for (;;) pause();
}

static int leave_daemon(void) {
    if (fork() == 0) {
        if (fork() == 0) stay(0);
        _exit(0);
    }
    usleep(5000);
    return 0;
}

static int leave_stopped(void) {
    if (fork() == 0) stay(1);
    usleep(5000);
    return 0;
}

static int leave_zombies(void) {
    for (int i = 0; i < 9; i++)
        if (fork() == 0) _exit(0);
    usleep(5000);
    return 0;
}

static int leave_nested(void) {
    if (enter_namespaces(CLONE_NEWPID) < 0) return -1;
    if (fork() == 0) stay(0);
    usleep(5000);
    return 0;
}

static int leave_many(void) {
    for (int i = 0; i < 40; i++)
        if (fork() == 0) stay(0);
    usleep(5000);
    return 0;
}

static void find_processes(void) {
    struct dirent **entries;
    int count = scandir("/proc", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++)
        if (strchr("123456789", entries[i]->d_name[0])) printf("%s ", entries[i]->d_name);
    int pid = fork();
    if (pid == 0) _exit(0);
    printf("self=%d parent=%d next=%d\n", getpid(), getppid(), pid);
}

static int leave_limits(void) {
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;
        if (getrlimit(i, &limit) < 0) return -1;
        if (i == RLIMIT_AS || i == RLIMIT_DATA || i == RLIMIT_STACK || i == RLIMIT_CPU) continue;
        limit.rlim_cur = limit.rlim_max = limit.rlim_max < 50 ? limit.rlim_max : 50;
        if (i != RLIMIT_FSIZE && setrlimit(i, &limit) < 0) return -1;
    }
    return 0;
}

static void find_limits(void) {
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        printf("%d %ld %ld\n", i, (long)limit.rlim_cur, (long)limit.rlim_max);
    }
}

static int leave_signals(void) {
    for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
    return 0;
}

static int leave_mask(void) {
    sigset_t all;
    sigfillset(&all);
    return sigprocmask(SIG_SETMASK, &all, NULL);
}

static int leave_pending(void) { return leave_mask() < 0 ? -1 : raise(SIGUSR1); }

static void find_signals(void) {
    sigset_t mask, pending;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigpending(&pending);
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        if (sigismember(&mask, i)) printf("blocked %d\n", i);
        if (sigismember(&pending, i)) printf("pending %d\n", i);
        if (!sigaction(i, NULL, &action) && action.sa_handler != SIG_DFL) printf("set %d\n", i);
    }
}

static int leave_timer(void) {
    return setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {100, 0}}, NULL);
}

static void find_timer(void) {
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    printf("%d\n", timer.it_value.tv_sec > 0);
}

static int leave_descriptors(void) {
    int fds[2];
    touch("/tmp/open");
    return dup2(open("/tmp/open", O_RDWR), 100) < 0 || pipe(fds) < 0 ||
           socket(AF_UNIX, SOCK_STREAM, 0) < 0 || memfd_create("left", 0) < 0 ? -1 : 0;
}

static void find_descriptors(void) {
    for (int i = 0; i < 4096; i++)
        if (fcntl(i, F_GETFD) >= 0) printf("%d ", i);
    puts("");
}

static int leave_watch(void) {
    int fd = inotify_init();
    return fd < 0 ? -1 : inotify_add_watch(fd, "/dev/null", IN_ALL_EVENTS);
}

static int leave_umask(void) { return umask(0), 0; }
static int leave_directory(void) { return chdir("/proc"); }
static int leave_personality(void) { return personality(ADDR_NO_RANDOMIZE | UNAME26); }
static int leave_reaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
static int leave_slack(void) { return prctl(PR_SET_TIMERSLACK, 1234, 0, 0, 0); }
static int leave_no_huge_pages(void) { return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }
static int leave_bits(void) { return prctl(PR_SET_SECUREBITS, 0, 0, 0, 0); }
static int leave_policy(void) { return syscall(SYS_set_mempolicy, 1, &(long){1}, 8); }

static void find_self(void) {
    char directory[256];
    mode_t mask = umask(0);
    int policy = -1;
    syscall(SYS_get_mempolicy, &policy, NULL, 0, NULL, 0);
    printf("umask=%o personality=%x directory=%s\n", mask, personality(-1),
           getcwd(directory, sizeof directory));
    printf("slack=%d huge=%d bits=%d policy=%d\n", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0),
           prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), policy);
    int is_reaper = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &is_reaper, 0, 0, 0);
    printf("leader=%d reaper=%d\n", getsid(0) == getpid() && getpgid(0) == getpid(), is_reaper);
}

static int leave_name(void) { return put("/proc/1/comm", "x"); }
static void find_name(void) { show("/proc/1/comm"), show("/proc/1/cmdline"); }

static int leave_environment(void) { return setenv("LEFT", "1", 1); }
static void find_environment(void) { show("/proc/self/environ"); }

static int leave_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static void find_filter(void) { told("getpgid", syscall(SYS_getpgid, 0)); }

static int leave_host_name(void) { return sethostname("left", 4); }

static int leave_nested_host_name(void) {
    return enter_namespaces(CLONE_NEWUTS) < 0 ? -1 : sethostname("left", 4);
}

static int leave_nested_mounts(void) {
    if (enter_namespaces(CLONE_NEWNS) < 0) return -1;
    return mount("left", "/tmp", "tmpfs", 0, "") < 0 ? -1 : touch("/tmp/left");
}

static int leave_time(void) {
    if (enter_namespaces(CLONE_NEWTIME) < 0) return -1;
    return put("/proc/self/timens_offsets", "monotonic 1000 0\n");
}

static void find_namespaces(void) {
    char name[256];
    gethostname(name, sizeof name);
    puts(name);
    show("/proc/self/timens_offsets");
    show("/proc/self/uid_map");
    list("/tmp");
}

/* A group of our own, made where a nested namespace shows the tree of groups. */
static int leave_group(void) {
    if (enter_namespaces(CLONE_NEWNS | CLONE_NEWCGROUP) < 0) return -1;
    if (mount("left", "/tmp", "cgroup2", 0, "") < 0) return -1;
    return mkdir("/tmp/left", 0755);
}

static void find_group(void) { show("/proc/self/cgroup"); }

const struct pair of_process[] = {
    {"daemons", leave_daemon, find_processes},
    {"stopped processes", leave_stopped, find_processes},
    {"zombies", leave_zombies, find_processes},
    {"processes of a nested namespace", leave_nested, find_processes},
    {"many processes", leave_many, find_processes},
    {"limits", leave_limits, find_limits},
    {"ignored signals", leave_signals, find_signals},
    {"blocked signals", leave_mask, find_signals},
    {"pending signals", leave_pending, find_signals},
    {"timers", leave_timer, find_timer},
    {"open descriptors", leave_descriptors, find_descriptors},
    {"watches", leave_watch, find_descriptors},
    {"a mask of modes", leave_umask, find_self},
    {"a directory", leave_directory, find_self},
    {"a personality", leave_personality, find_self},
    {"a reaper", leave_reaper, find_self},
    {"slack of timers", leave_slack, find_self},
    {"no huge pages", leave_no_huge_pages, find_self},
    {"security bits", leave_bits, find_self},
    {"a policy of memory", leave_policy, find_self},
    {"a name", leave_name, find_name},
    {"an environment", leave_environment, find_environment},
    {"a filter of calls", leave_filter, find_filter},
    {"a host name", leave_host_name, find_namespaces},
    {"a nested host name", leave_nested_host_name, find_namespaces},
    {"nested mounts", leave_nested_mounts, find_namespaces},
    {"offsets of time", leave_time, find_namespaces},
    {"control groups", leave_group, find_group},
    {0},
};
