/* fork template WORD: a fork of a template that does what WORD says; or that by itself.

As a template it speaks the language of maelstrom/frameworks/scripts/start.py. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SELF "/proc/self/exe"

static int told(int result) { return puts(result < 0 ? strerrorname_np(errno) : "ok"), 0; }

static int look(void) {
    struct stat status;
    if (stat(SELF, &status) < 0) return told(-1);
    printf("%o %ld %ld\n", status.st_mode, (long)status.st_mtime, (long)listxattr(SELF, NULL, 0));
    return 0;
}

/* Change the template, so that the next job has another; tell if anybody else is here. */
static int spoil(void) {
    int count = 0, parent = getppid();
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(processes));) count += atoi(entry->d_name) > 0;
    if (parent != 1 && setpriority(PRIO_PROCESS, parent, 19) < 0) return 98;
    close(open("/written", O_CREAT | O_WRONLY, 0644));
    return count == (parent == 1 ? 2 : 3) ? 0 : 97;
}

static int run(const char *word) {
    if (!strcmp(word, "spoil")) return spoil();
    if (!strcmp(word, "look")) return look();
    if (!strcmp(word, "mode")) return told(chmod(SELF, 0700));
    if (!strcmp(word, "times")) return told(utimensat(AT_FDCWD, SELF, NULL, 0));
    if (!strcmp(word, "attribute")) return told(setxattr(SELF, "user.left", "x", 1, 0));
    if (!strcmp(word, "content")) return told(open(SELF, O_WRONLY));
    if (!strcmp(word, "link")) return told(linkat(AT_FDCWD, SELF, AT_FDCWD, "/left", AT_SYMLINK_FOLLOW));
    return 99;
}

/* Take the next request; return its word in the child, and never in the template. */
static const char *serve(int connection) {
    static char request[4096];
    char control[CMSG_SPACE(3 * sizeof(int))], answer[64];
    struct iovec part = {request, sizeof request - 1};
    for (;;) {
        struct msghdr message = {0, 0, &part, 1, control, sizeof control, 0};
        ssize_t size = recvmsg(connection, &message, 0);
        if (size <= 0) _exit(0);
        request[size] = 0;
        int *streams = (int *)CMSG_DATA(CMSG_FIRSTHDR(&message)), status;
        pid_t child = fork();
        if (child == 0) {
            close(connection);
            setsid();
            prctl(PR_SET_DUMPABLE, 1);
            for (int i = 0; i < 3; i++) dup2(streams[i], i), close(streams[i]);
            char *word = strstr(request, "[\"") + 2;
            *strchr(word, '"') = 0;
            return word;
        }
        for (int i = 0; i < 3; i++) close(streams[i]);
        send(connection, answer, snprintf(answer, sizeof answer, "%d", child), 0);
        struct rusage used;
        if (recv(connection, answer, sizeof answer, 0) <= 0) _exit(0);
        wait4(child, &status, 0, &used);
        send(connection, answer, snprintf(answer, sizeof answer, "%d 0 0 %ld", status, used.ru_maxrss), 0);
    }
}

int main(int argc, char **argv) {
    const char *connection = getenv("MAELSTROM_TEMPLATE"), *word = argc > 2 ? argv[2] : "";
    if (connection && argc == 2) {
        fcntl(atoi(connection), F_SETFD, FD_CLOEXEC);
        prctl(PR_SET_DUMPABLE, 0);
        send(atoi(connection), "ready", 5, 0);
        word = serve(atoi(connection));
    }
    return run(word);
}
