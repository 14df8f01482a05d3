/* pair find NAME: look. pair both NAME: leave it, then look in the same job, as a control. */
#include "pair.h"

int is_control;

int touch(const char *path) {
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    return fd < 0 ? -1 : close(fd);
}

int put(const char *path, const char *content) {
    int fd = open(path, O_WRONLY | O_TRUNC);
    if (fd < 0) return -1;
    int result = write(fd, content, strlen(content)) < 0 ? -1 : 0;
    close(fd);
    return result;
}

/* Be root in a user namespace of our own, and in other new namespaces. */
int enter_namespaces(int kinds) {
    char map[64];
    int user = getuid(), group = getgid();
    if (unshare(CLONE_NEWUSER | kinds) < 0) return -1;
    snprintf(map, sizeof map, "0 %d 1", user);
    if (put("/proc/self/uid_map", map) < 0 || put("/proc/self/setgroups", "deny") < 0) return -1;
    snprintf(map, sizeof map, "0 %d 1", group);
    return put("/proc/self/gid_map", map);
}

void show(const char *path) {
    char content[4096];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
    if (size < 0) printf("%s: %s\n", path, strerrorname_np(errno));
    else printf("%s: %.*s\n", path, (int)size, content);
    if (fd >= 0) close(fd);
}

static int is_named(const struct dirent *entry) { return strcmp(entry->d_name, ".."); }

void list(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, is_named, alphasort);
    printf("%s:", count < 0 ? strerrorname_np(errno) : path);
    for (int i = 0; i < count; i++) printf(" %s", entries[i]->d_name);
    puts("");
}

void told(const char *what, long result) {
    printf("%s=%s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

int main(int argc, char **argv) {
    is_control = argc == 4;
    const struct pair *tables[] = {of_files, of_ipc, of_network, of_process, of_slot};
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct pair *pair = tables[i]; pair->name; pair++) {
            if (argc == 2 && !strcmp(argv[1], "names")) puts(pair->name);
            if (argc < 3 || strcmp(argv[2], pair->name)) continue;
            if (!strcmp(argv[1], "both")) {
                if (pair->leave() < 0) return printf("refused %s\n", strerrorname_np(errno)), 0;
                execl("/pair", "pair", "find", pair->name, "control", NULL);
                return 98;
            }
            pair->find();
            return 0;
        }
    return argc == 2 ? 0 : 99;
}
