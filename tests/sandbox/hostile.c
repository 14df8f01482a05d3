/* One static program with many ways to misbehave, or to tell what it sees. */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *told(int result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static int say(const char *what, int result) {
    printf("%s=%s\n", what, told(result));
    fflush(stdout);
    return 0;
}

static int leave_files(void) {
    const char *paths[] = {"/tmp/left", "/dev/shm/left", "/left", "/var-left", "/work/left"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = open(paths[i], O_CREAT | O_WRONLY, 0644);
        if (fd >= 0) close(fd);
    }
    return 0;
}

/* A daemon in a session of its own that holds the pipes open. */
static int leave_daemon(void) {
    for (int i = 0; i < 5; i++)
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                signal(SIGTERM, SIG_IGN);
                for (;;) pause();
            }
            _exit(0);
        }
    return 0;
}

static int leave_ipc(void) {
    int id = shmget(4711, 65536, IPC_CREAT | 0666);
    int queue = msgget(4711, IPC_CREAT | 0666);
    return id < 0 || queue < 0;
}

static int find_ipc(void) {
    say("shm", shmget(4711, 0, 0));
    return say("msg", msgget(4711, 0));
}

static int use_queue(void) {
    mqd_t queue = mq_open("/passing", O_CREAT | O_RDWR, 0666, NULL);
    return queue < 0 || mq_unlink("/passing") < 0;
}

static int say_ipc(void) {
    struct stat status;
    if (stat("/proc/self/ns/ipc", &status) < 0) return 1;
    return printf("%lu\n", status.st_ino) < 0;
}

static int bind_abstract(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, "\0hostile", 8);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return say("bind", bind(fd, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 8));
}

static int loopback(int port) {
    struct sockaddr_in name = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int result = bind(listener, (void *)&name, sizeof name);
    say("bind", result);
    if (result < 0) return 0;
    listen(listener, 1);
    int near = socket(AF_INET, SOCK_STREAM, 0);
    result = connect(near, (void *)&name, sizeof name);
    say("connect", result);
    if (result < 0) return 0;
    int far = accept(listener, 0, 0);
    shutdown(far, SHUT_RDWR);
    close(far); /* Who closes first waits longest. */
    close(near);
    return 0;
}

static int connect_to(int port) {
    struct sockaddr_in name = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return say("connect", connect(fd, (void *)&name, sizeof name));
}

static int fork_bomb(void) {
    for (;;) fork();
}

static int flood(void) {
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (;;)
        if (write(1, block, sizeof block) < 0) return 1;
}

static int fill(const char *path) {
    static char block[65536];
    long total = 0;
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    ssize_t n;
    while ((n = write(fd, block, sizeof block)) > 0) total += n;
    printf("%s %ld\n", strerrorname_np(errno), total);
    return 0;
}

static int eat(void) {
    for (;;) {
        char *block = malloc(1 << 20);
        memset(block, 1, 1 << 20);
        usleep(200);
    }
}

/* Hold so many MiB where no process of ours has them mapped. */
static int hide(int mib) {
    static char block[1 << 20];
    int fd = memfd_create("hidden", 0);
    memset(block, 1, sizeof block);
    while (mib-- > 0)
        if (write(fd, block, sizeof block) != sizeof block) return perror("write"), 1;
    puts("held");
    return 0;
}

static int ignore_term(void) {
    signal(SIGTERM, SIG_IGN);
    puts("ignoring");
    fflush(stdout);
    for (;;) pause();
}

static void end_softly(int number) {
    (void)!write(1, "softly\n", 7);
    _exit(0);
}

static int obey_term(void) {
    signal(SIGTERM, end_softly);
    for (;;) pause();
}

static int close_output(void) {
    close(1);
    close(2);
    usleep(50000);
    return 7;
}

static int zombies(void) {
    for (int i = 0; i < 50; i++)
        if (fork() == 0) _exit(0);
    return 0;
}

static int tamper(void) {
    struct rlimit limit = {20, 20};
    say("limit", prlimit(1, RLIMIT_NOFILE, &limit, 0));
    return say("priority", setpriority(PRIO_PROCESS, 1, 15));
}

static int signals(void) {
    sigset_t mask;
    sigprocmask(SIG_SETMASK, 0, &mask);
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        if (sigismember(&mask, i)) printf("blocked %d\n", i);
        if (sigaction(i, 0, &action) == 0 && action.sa_handler != SIG_DFL) printf("set %d\n", i);
    }
    return 0;
}

static int descriptors(void) {
    for (int i = 0; i < 4096; i++)
        if (fcntl(i, F_GETFD) >= 0) printf("%d ", i);
    return 0;
}

static int forbidden(void) {
    say("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    say("perf_event_open", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
    say("bpf", syscall(SYS_bpf, 0, 0, 0));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
    say("ptrace_init", ptrace(PTRACE_ATTACH, 1, 0, 0));
    say("sethostname", sethostname("x", 1));
    say("mount", mount("none", "/tmp", "tmpfs", 0, 0));
    say("remount", mount(0, "/proc/sys", 0, MS_REMOUNT | MS_BIND, 0));
    say("umount", umount2("/proc/sys", MNT_DETACH));
    say("chroot", chroot("/tmp"));
    say("setuid", setuid(getuid() + 1));
    say("open_init_mem", open("/proc/1/mem", O_RDWR));
    say("open_init_root", open("/proc/1/root/etc", O_RDONLY));
    return say("kill_init", kill(1, SIGKILL));
}

/* What a nested user namespace may do to what was locked. */
static int nested(const char *path) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return say("unshare", -1);
    say("unshare", 0);
    say("remount", mount(0, path, 0, MS_REMOUNT | MS_BIND, 0));
    say("umount", umount2(path, MNT_DETACH));
    return say("write", open(path, O_WRONLY | O_TMPFILE, 0600));
}

static int attribute(void) {
    return say("setxattr", setxattr("/", "user.left", "1", 1, 0));
}

/* Read one's own output: what the slot was told of may be gone when it looks. */
static int take_output(void) {
    char byte;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            int fd = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
            for (;;) read(fd, &byte, 1);
        }
    for (;;) write(1, "x", 1);
}

/* Memory that is no process's. */
static int leave_memory(void) {
    for (;;) {
        int id = shmget(IPC_PRIVATE, 1 << 20, IPC_CREAT | 0600);
        char *memory = shmat(id, 0, 0);
        memset(memory, 1, 1 << 20);
        shmdt(memory);
        usleep(200);
    }
}

/* Descriptors on their way, which count against the user and not against the process. */
static int send_files(const char *told) {
    char room[CMSG_SPACE(250 * sizeof(int))] = {0};
    struct iovec byte = {"x", 1};
    struct msghdr message = {0, 0, &byte, 1, room, sizeof room, 0};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){CMSG_LEN(250 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    for (int i = 0; i < 250; i++) ((int *)CMSG_DATA(header))[i] = 0;
    int sent = 0, ends[2];
    do {
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0) break;
        while (sendmsg(ends[0], &message, MSG_DONTWAIT) > 0) sent++;
    } while (errno == EAGAIN && sent < 100000);
    printf("%s %d\n", strerrorname_np(errno), sent);
    fflush(stdout);
    close(open(told, O_CREAT | O_WRONLY, 0644));
    for (;;) pause();
}

static int open_files(void) {
    int count = 0;
    while (open("/proc/self/stat", O_RDONLY) >= 0) count++;
    printf("%s %d\n", strerrorname_np(errno), count);
    return 0;
}

static int threads_of_fork(void) {
    int count = 0;
    for (;;) {
        int pid = fork();
        if (pid < 0) break;
        if (pid == 0) {
            for (;;) pause();
        }
        count++;
    }
    printf("%s %d\n", strerrorname_np(errno), count);
    return 0;
}

/* One directory in the other, by a path that no call takes. */
static int dig(int depth) {
    int count = 0;
    while (count < depth && mkdir("d", 0700) == 0 && chdir("d") == 0) count++;
    printf("%d\n", count);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    const char *with = argc > 2 ? argv[2] : "";
#define WAY(name, call) if (!strcmp(what, name)) return call
    WAY("true", 0);
    WAY("exit", atoi(with));
    WAY("raise", raise(atoi(with)));
    WAY("abort", (abort(), 0));
    WAY("leave-files", leave_files());
    WAY("leave-daemon", leave_daemon());
    WAY("leave-ipc", leave_ipc());
    WAY("find-ipc", find_ipc());
    WAY("use-queue", use_queue());
    WAY("say-ipc", say_ipc());
    WAY("bind-abstract", bind_abstract());
    WAY("loopback", loopback(atoi(with)));
    WAY("connect", connect_to(atoi(with)));
    WAY("fork-bomb", fork_bomb());
    WAY("flood", flood());
    WAY("fill", fill(with));
    WAY("eat", eat());
    WAY("hide", hide(atoi(with)));
    WAY("ignore-term", ignore_term());
    WAY("obey-term", obey_term());
    WAY("stop", (kill(getpid(), SIGSTOP), 0));
    WAY("close-output", close_output());
    WAY("zombies", zombies());
    WAY("tamper", tamper());
    WAY("signals", signals());
    WAY("descriptors", descriptors());
    WAY("forbidden", forbidden());
    WAY("nested", nested(with));
    WAY("attribute", attribute());
    WAY("take-output", take_output());
    WAY("leave-memory", leave_memory());
    WAY("send-files", send_files(with));
    WAY("open-files", open_files());
    WAY("processes", threads_of_fork());
    WAY("kill-all", kill(-1, SIGKILL));
    WAY("kill-parent", (kill(getppid(), SIGKILL), kill(getppid(), SIGTERM), kill(1, SIGINT), 0));
    WAY("sleep", sleep(atoi(with)));
    WAY("dig", dig(atoi(with)));
    WAY("chmod-root", chmod("/", 0700));
    return 99;
}
