/* What is the slot's own, so that all its jobs inherit it; and the standard streams. */
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <termios.h>
#include "pair.h"

enum { SLOT = 1 };

static int leave_limit(void) {
    struct rlimit limit = {20, 20};
    return prlimit(SLOT, RLIMIT_NOFILE, &limit, NULL);
}

static int leave_limit_of_time(void) {
    struct rlimit limit = {1, 1};
    return prlimit(SLOT, RLIMIT_CPU, &limit, NULL);
}

static int leave_own_niceness(void) { return setpriority(PRIO_PROCESS, 0, 19); }
static int leave_niceness(void) { return setpriority(PRIO_PROCESS, SLOT, 7); }
static int leave_niceness_of_user(void) { return setpriority(PRIO_USER, getuid(), 7); }
static int leave_group_niceness(void) { return put("/proc/1/autogroup", "7"); }

static int leave_scheduler(void) {
    return sched_setscheduler(SLOT, SCHED_BATCH, &(struct sched_param){0});
}

static int leave_slice(void) {
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
        unsigned least, most;
    } wanted = {56, 0, 0, 0, 0, 100000000, 0, 0, 0, 0};
    return syscall(SYS_sched_setattr, SLOT, &wanted, 0);
}

static int leave_processors(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    return sched_setaffinity(SLOT, sizeof one, &one);
}

static int leave_io_priority(void) { return syscall(SYS_ioprio_set, 1, SLOT, 3 << 13); }
static int leave_io_priority_of_user(void) {
    return syscall(SYS_ioprio_set, 3, getuid(), 3 << 13);
}

static void find_priorities(void) {
    struct rlimit files, seconds;
    char content[4096] = "";
    cpu_set_t set;
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_CPU, &seconds);
    printf("files=%ld seconds=%ld\n", (long)files.rlim_max, (long)seconds.rlim_max);
    printf("nice=%d of-slot=%d\n", getpriority(PRIO_PROCESS, 0), getpriority(PRIO_PROCESS, SLOT));
    printf("scheduler=%d of-slot=%d\n", sched_getscheduler(0), sched_getscheduler(SLOT));
    sched_getaffinity(0, sizeof set, &set);
    printf("processors=%d\n", CPU_COUNT(&set));
    printf("io=%ld\n", syscall(SYS_ioprio_get, 1, 0));
    int fd = open("/proc/1/autogroup", O_RDONLY);
    if (read(fd, content, sizeof content - 1) > 0) puts(strstr(content, "nice"));
    fd = open("/proc/1/sched", O_RDONLY);
    memset(content, 0, sizeof content);
    if (read(fd, content, sizeof content - 1) > 0 && strstr(content, "se.slice"))
        printf("%.60s\n", strstr(content, "se.slice"));
}

static int leave_own_oom_score(void) { return put("/proc/self/oom_score_adj", "950"); }
static int leave_oom_score(void) { return put("/proc/1/oom_score_adj", "1000"); }
static int leave_dump_filter(void) { return put("/proc/1/coredump_filter", "0"); }
static int leave_slack(void) { return put("/proc/1/timerslack_ns", "777"); }
static int leave_name(void) { return put("/proc/1/comm", "left"); }
static int leave_cookie(void) { return prctl(PR_SCHED_CORE, 1, SLOT, 0, 0); }
static int leave_pages(void) { return syscall(SYS_migrate_pages, SLOT, 64, &(long){1}, &(long){1}); }
static int leave_group_of_slot(void) { return setpgid(SLOT, 0); }

static int leave_signals(void) {
    for (int number = 1; number < 65; number++) kill(SLOT, number);
    for (int number = 1; number < 65; number++) sigqueue(SLOT, number, (union sigval){1});
    errno = EPERM;
    return -1; /* They are heard by nobody, which is as good as refused. */
}

static void find_slot(void) {
    show("/proc/self/oom_score_adj");
    show("/proc/1/coredump_filter");
    show("/proc/self/coredump_filter");
    show("/proc/1/comm");
    char line[256];
    FILE *file = fopen("/proc/1/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, "Pnd") || strstr(line, "SigQ") || strstr(line, "State"))
            if (!strstr(line, "State") || strstr(line, "stopped")) printf("%s", line);
}

static int leave_stream_flags(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND) < 0) return -1;
    return 0;
}

static int leave_stream_owner(void) {
    return fcntl(0, F_SETOWN, getpid()) < 0 ? -1 : fcntl(0, F_SETSIG, SIGUSR1);
}

/* They wait: the node of the device is the host's, and others may just hold it. */
static int leave_stream_lock(void) { return flock(0, LOCK_EX); }

static int leave_stream_range(void) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(0, F_OFD_SETLKW, &range);
}

static int leave_stream_offset(void) { return lseek(0, 7, SEEK_SET) < 0 ? -1 : 0; }
static int leave_pipe_size(void) { return fcntl(1, F_SETPIPE_SZ, 4096); }

static int leave_layer_lock(void) {
    int fd = open("/same", O_RDONLY);
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -1 : fcntl(fd, F_SETLEASE, F_RDLCK);
}

static int take(int fd) { return flock(fd, LOCK_EX | LOCK_NB); }

static int take_range(int fd) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &range);
}

/* What others hold they let go of; what the last job has left here would stay. */
static void find_lock(const char *what, int (*take)(int)) {
    int result, fd = open("/dev/null", O_RDWR);
    for (int i = 0; (result = take(fd)) < 0 && errno == EAGAIN && !is_control && i < 1000; i++)
        usleep(10000);
    told(what, result);
    close(fd);
}

static void find_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        printf("%d flags=%o owner=%d signal=%d\n", fd, fcntl(fd, F_GETFL), fcntl(fd, F_GETOWN) != 0,
               fcntl(fd, F_GETSIG));
    printf("offset=%ld size=%d\n", lseek(0, 0, SEEK_CUR), fcntl(1, F_GETPIPE_SZ));
    find_lock("flock", take);
    find_lock("range", take_range);
    told("layer", flock(open("/same", O_RDONLY), LOCK_EX | LOCK_NB));
}

static int leave_terminal(void) {
    int unlocked = 0, master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0) return -1;
    int slave = open("/dev/pts/0", O_RDWR);
    struct termios mode;
    if (slave < 0 || tcgetattr(slave, &mode) < 0) return -1;
    cfmakeraw(&mode);
    ioctl(slave, TIOCSCTTY, 0);
    return tcsetattr(slave, TCSANOW, &mode);
}

static int leave_terminal_mode(void) { return chmod("/dev/pts/ptmx", 0600); }

static void find_terminal(void) {
    struct stat status = {0};
    list("/dev/pts");
    stat("/dev/pts/ptmx", &status);
    printf("%o\n", status.st_mode);
    told("tty", open("/dev/tty", O_RDWR));
}

const struct pair of_slot[] = {
    {"a limit of the slot", leave_limit, find_priorities},
    {"a limit of the slot's time", leave_limit_of_time, find_priorities},
    {"niceness", leave_own_niceness, find_priorities},
    {"the slot's niceness", leave_niceness, find_priorities},
    {"the user's niceness", leave_niceness_of_user, find_priorities},
    {"the group's niceness", leave_group_niceness, find_priorities},
    {"the slot's scheduler", leave_scheduler, find_priorities},
    {"the slot's slice", leave_slice, find_priorities},
    {"the slot's processors", leave_processors, find_priorities},
    {"the slot's I/O priority", leave_io_priority, find_priorities},
    {"the user's I/O priority", leave_io_priority_of_user, find_priorities},
    {"a badness", leave_own_oom_score, find_slot},
    {"the slot's badness", leave_oom_score, find_slot},
    {"the slot's filter of dumps", leave_dump_filter, find_slot},
    {"the slot's slack", leave_slack, find_slot},
    {"the slot's name", leave_name, find_slot},
    {"the slot's cookie", leave_cookie, find_slot},
    {"the slot's pages", leave_pages, find_slot},
    {"the slot's process group", leave_group_of_slot, find_slot},
    {"signals to the slot", leave_signals, find_slot},
    {"flags of streams", leave_stream_flags, find_streams},
    {"owners of streams", leave_stream_owner, find_streams},
    {"locks of streams", leave_stream_lock, find_streams},
    {"locks of ranges", leave_stream_range, find_streams},
    {"offsets of streams", leave_stream_offset, find_streams},
    {"sizes of pipes", leave_pipe_size, find_streams},
    {"locks of layers", leave_layer_lock, find_streams},
    {"terminals", leave_terminal, find_terminal},
    {"modes of terminals", leave_terminal_mode, find_terminal},
    {0},
};
