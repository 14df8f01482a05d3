/* System V objects, POSIX message queues, keyrings. */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include "pair.h"

enum { KEY = 4711 };

static int leave_memory(void) { return shmget(KEY, 1 << 16, IPC_CREAT | 0666); }

static int leave_much_memory(void) {
    size_t size = 32 << 20;
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0666);
    void *memory = shmat(id, NULL, 0);
    if (memory == (void *)-1) return -1;
    memset(memory, 1, size);
    return shmdt(memory);
}

static int leave_semaphores(void) { return semget(KEY, 3, IPC_CREAT | 0666); }

static int leave_messages(void) {
    struct { long kind; char text[8]; } message = {1, "left"};
    return msgsnd(msgget(KEY, IPC_CREAT | 0666), &message, 8, 0);
}

static void find_system_v(void) {
    told("shm", shmget(KEY, 0, 0));
    told("sem", semget(KEY, 0, 0));
    told("msg", msgget(KEY, 0));
    show("/proc/sysvipc/shm");
    show("/proc/sysvipc/sem");
    show("/proc/sysvipc/msg");
}

static int leave_queue(void) {
    mqd_t queue = mq_open("/left", O_CREAT | O_RDWR, 0666, NULL);
    return queue < 0 ? -1 : mq_send(queue, "left", 4, 0);
}

static void find_queue(void) {
    told("queue", mq_open("/left", O_RDWR));
    list("/dev/mqueue");
}

/* What is counted for the user, not for the namespace: all that there may be of it. */
static int limit(int resource, long most) {
    return setrlimit(resource, &(struct rlimit){most, most});
}

static int take_queues(const char *word) {
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    char name[16];
    if (limit(RLIMIT_MSGQUEUE, 1 << 18) < 0) return -1;
    for (int i = 0;; i++) {
        sprintf(name, "/%s%d", word, i);
        if (mq_open(name, O_CREAT | O_RDWR, 0666, &attributes) < 0) return i;
    }
}

static int lock_memory(void) {
    if (limit(RLIMIT_MEMLOCK, 1 << 16) < 0) return -1;
    int id = shmget(IPC_PRIVATE, 1 << 16, IPC_CREAT | 0666);
    return id < 0 ? -1 : shmctl(id, SHM_LOCK, NULL);
}

static int leave_no_room_for_queues(void) { return take_queues("left"); }
static void find_room_for_queues(void) { printf("%d\n", take_queues("found")); }
static void find_room_to_lock(void) { told("lock", lock_memory()); }

static int leave_limits_of_ipc(void) { return put("/proc/sys/kernel/shmmni", "7"); }
static int leave_limits_of_queues(void) { return put("/proc/sys/fs/mqueue/queues_max", "7"); }

static void find_limits(void) {
    show("/proc/sys/kernel/shmmni");
    show("/proc/sys/fs/mqueue/queues_max");
}

static int leave_key(void) { return syscall(SYS_add_key, "user", "left", "1", 1, -4); }
static int leave_session_key(void) { return syscall(SYS_keyctl, 1, "left"); }
static void find_key(void) { told("key", syscall(SYS_request_key, "user", "left", NULL, 0)); }

const struct pair of_ipc[] = {
    {"shared memory", leave_memory, find_system_v},
    {"much shared memory", leave_much_memory, find_system_v},
    {"semaphores", leave_semaphores, find_system_v},
    {"messages", leave_messages, find_system_v},
    {"message queues", leave_queue, find_queue},
    {"room for queues taken", leave_no_room_for_queues, find_room_for_queues},
    {"locked shared memory", lock_memory, find_room_to_lock},
    {"limits of shared memory", leave_limits_of_ipc, find_limits},
    {"limits of message queues", leave_limits_of_queues, find_limits},
    {"keys", leave_key, find_key},
    {"session keyrings", leave_session_key, find_key},
    {0},
};
