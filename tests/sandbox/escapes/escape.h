/* Attempts to get out of a container, or at what is not the job's. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct attempt {
    const char *name;
    long (*attempt)(void); /* below 0, with errno, where it is refused; else it got somewhere */
};

extern const struct attempt at_files[], at_slot[], at_template[], at_kernel[], in_namespaces[];

extern int slot; /* the process that is attacked: the slot, or a template */
#define SLOT slot
extern int user; /* who we were at first */
extern const char *name_on_host; /* an abstract socket that the test listens on */

int put(const char *path, const char *content);
long refused(int number);
long open_namespaces(void);
