/* escape direct|nested|owned|template NAME: try all, each in a process of its own, and print what the kernel said. */
#include <sys/wait.h>
#include "escape.h"

const char *name_on_host = "";
int slot = 1, user;

int put(const char *path, const char *content) {
    int fd = open(path, O_WRONLY);
    if (fd < 0) return -1;
    int result = write(fd, content, strlen(content)) < 0 ? -1 : 0;
    close(fd);
    return result;
}

long refused(int number) { return errno = number, -1; }

/* Be as mighty as a job can be: the owner of new namespaces, if only the user may map himself. */
static void enter_namespaces(void) {
    char map[64];
    int group = getgid();
    if (unshare(CLONE_NEWUSER) < 0) _exit(97);
    snprintf(map, sizeof map, "0 %d 1", user);
    put("/proc/self/uid_map", map);
    put("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %d 1", group);
    put("/proc/self/gid_map", map);
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        _exit(96);
    /* The first child is process 1 of the new PID namespace. */
    int pid = fork(), status;
    if (pid == 0) return;
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

static void try(const struct attempt *attempt, int is_nested, int is_owned) {
    int pid = fork();
    if (pid == 0) {
        alarm(20);
        if (is_nested) enter_namespaces();
        /* So that no attempt changes what the next one finds. */
        if (is_owned && unshare(CLONE_NEWNS) < 0) _exit(95);
        errno = 0;
        long result = attempt->attempt();
        printf("%s=%s\n", attempt->name, result < 0 ? strerrorname_np(errno) : "ESCAPED");
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status) printf("%s=died-%x\n", attempt->name, status);
}

int main(int argc, char **argv) {
    const struct attempt *direct[] = {at_files, at_slot, at_kernel};
    const char *way = argc > 1 ? argv[1] : "";
    user = getuid();
    name_on_host = argc > 2 ? argv[2] : "";
    /* Run as a program that belongs to another. */
    if (!strcmp(way, "who")) return getuid() != geteuid() || getgid() != getegid();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(way, "direct"))
        for (int i = 0; i < 3; i++)
            for (const struct attempt *attempt = direct[i]; attempt->name; attempt++) try(attempt, 0, 0);
    /* As its fork, and that as the owner of a namespace. */
    if (!strcmp(way, "template") || !strcmp(way, "owned template")) {
        slot = getppid();
        if (way[0] == 'o' && unshare(CLONE_NEWUSER) < 0) return 98;
        for (const struct attempt *attempt = at_template; attempt->name; attempt++) try(attempt, 0, 0);
    }
    /* As the owner of namespaces that were made for it. */
    if (!strcmp(way, "owned"))
        for (const struct attempt *attempt = in_namespaces; attempt->name; attempt++) try(attempt, 0, 1);
    if (!strcmp(way, "nested"))
        for (const struct attempt *attempt = in_namespaces; attempt->name; attempt++) try(attempt, 1, 0);
    return 0;
}
