/* What one job can leave, and how the next would find it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct pair {
    const char *name;
    int (*leave)(void); /* below 0, with errno, where it is refused */
    void (*find)(void); /* prints what is there */
};

extern const struct pair of_files[], of_ipc[], of_network[], of_process[], of_slot[];

/* Whether this same job has left something. */
extern int is_control;

int touch(const char *path);
int put(const char *path, const char *content);
int enter_namespaces(int kinds);
void show(const char *path);
void list(const char *path);
void told(const char *what, long result);
