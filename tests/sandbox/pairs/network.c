/* Sockets, ports, connections, and what a network namespace remembers of them. */
#include <arpa/inet.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "pair.h"

enum { PORT = 5000 };
static const struct sockaddr_in HERE = {AF_INET, 0x8813, {0x0100007f}, {0}};

static int abstract(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    memcpy(name.sun_path, "\0hostile", 8);
    return bind(fd, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 8) < 0 ? -1 : fd;
}

/* A socket that is held by nothing but a message in its own queue. */
static int leave_cycle(void) {
    int ends[2], fd = abstract();
    char room[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec byte = {"x", 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = room,
                             .msg_controllen = sizeof room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (fd < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0) return -1;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), (int[2]){fd, ends[0]}, 2 * sizeof(int));
    return sendmsg(ends[1], &message, 0);
}

static void count(const char *path) {
    int lines = 0;
    FILE *file = fopen(path, "r");
    for (int byte; file && (byte = fgetc(file)) != EOF;) lines += byte == '\n';
    printf("%s: %d\n", path, lines);
}

static void find_abstract(void) {
    told("bind", abstract());
    count("/proc/net/unix");
}

static int udp(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return bind(fd, (void *)&HERE, sizeof HERE) < 0 ? -1 : fd;
}

static int listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fd, (void *)&HERE, sizeof HERE) < 0 ? -1 : listen(fd, 1) < 0 ? -1 : fd;
}

static int leave_connection(int is_rude) {
    int server = listener(), near = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || connect(near, (void *)&HERE, sizeof HERE) < 0) return -1;
    int far = accept(server, NULL, NULL);
    if (write(near, "left", 4) < 0) return -1;
    if (is_rude) {
        char content[4];
        struct linger at_once = {1, 0};
        if (read(far, content, 4) < 0) return -1;
        return setsockopt(far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    shutdown(far, SHUT_RDWR);
    return close(far) | close(near);
}

static int leave_waiting(void) { return leave_connection(0); }
static int leave_reset(void) { return leave_connection(1); }

static int leave_datagram(void) {
    int fd = udp();
    return fd < 0 ? -1 : (int)sendto(fd, "left", 4, 0, (void *)&HERE, sizeof HERE);
}

static void find_ports(void) {
    /* Looked at first: what follows is counted too. */
    show("/proc/net/snmp");
    FILE *file = fopen("/proc/net/dev", "r");
    char line[512];
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, "lo:")) printf("%s", line);
    told("tcp", listener());
    told("udp", udp());
}

/* The kernel keeps it beyond its last socket. */
static int take_label(void) {
    struct in6_flowlabel_req request = {
        .flr_label = htonl(0x12345), .flr_action = IPV6_FL_A_GET, .flr_share = IPV6_FL_S_EXCL,
        .flr_flags = IPV6_FL_F_CREATE | IPV6_FL_F_EXCL, .flr_expires = 100, .flr_linger = 100};
    request.flr_dst.s6_addr[15] = 1;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    return setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &request, sizeof request);
}

static void find_label(void) {
    show("/proc/net/ip6_flowlabel");
    told("label", take_label());
}

static int leave_hypervisor(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
static int leave_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0); }

static int leave_route(void) {
    struct {
        struct nlmsghdr header;
        struct rtmsg route;
    } request = {{sizeof request, RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, 1, 0},
                 {AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_BLACKHOLE, 0}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[512];
    } reply;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (send(fd, &request, sizeof request, 0) < 0 || recv(fd, &reply, sizeof reply, 0) < 0)
        return -1;
    errno = -reply.error.error;
    return reply.error.error;
}

static int leave_address(void) {
    struct ifreq request = {.ifr_name = "lo"};
    struct sockaddr_in address = {AF_INET, 0, {htonl(0x7f000002)}, {0}};
    memcpy(&request.ifr_addr, &address, sizeof address);
    return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFADDR, &request);
}

static int leave_device_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &request);
}

static int leave_tables(void) {
    char room[128] = "filter";
    if (socket(AF_INET, SOCK_RAW, IPPROTO_RAW) < 0) return -1;
    return setsockopt(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), 0, 64, room, sizeof room);
}

static int leave_forwarding(void) { return put("/proc/sys/net/ipv4/ip_forward", "1"); }

static void find_settings(void) {
    struct ifreq request = {.ifr_name = "lo"};
    ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFFLAGS, &request);
    printf("up=%d\n", request.ifr_flags & IFF_UP);
    show("/proc/net/route");
    show("/proc/net/fib_trie");
    show("/proc/net/ip_tables_names");
    show("/proc/sys/net/ipv4/ip_forward");
    show("/proc/net/packet");
    show("/proc/net/igmp");
}

const struct pair of_network[] = {
    {"abstract sockets", abstract, find_abstract},
    {"sockets that hold themselves", leave_cycle, find_abstract},
    {"UDP ports", udp, find_ports},
    {"TCP ports", listener, find_ports},
    {"connections that wait", leave_waiting, find_ports},
    {"connections that were reset", leave_reset, find_ports},
    {"datagrams", leave_datagram, find_ports},
    {"labels of flows", take_label, find_label},
    {"sockets without namespaces", leave_hypervisor, find_ports},
    {"packet sockets", leave_packet, find_settings},
    {"routes", leave_route, find_settings},
    {"addresses", leave_address, find_settings},
    {"a device that is up", leave_device_up, find_settings},
    {"tables of filters", leave_tables, find_settings},
    {"forwarding", leave_forwarding, find_settings},
    {0},
};
