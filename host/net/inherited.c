/* SPDX-License-Identifier: Apache-2.0 */
#include "host/net/inherited.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 64 };

typedef union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} any_address;

/* Of this process: a child's environment still names its parent's. */
static int count(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid()) {
        return 0;
    }
    const long n = strtol(fds, NULL, 10);
    return n < 0 ? 0 : n > MOST ? MOST : (int)n;
}

/* False: not a listening stream socket, or taken already. */
static bool read_address(int fd, any_address *out)
{
    int listens = 0, type = 0;
    socklen_t size = sizeof listens, len = sizeof *out;
    const int flags = fcntl(fd, F_GETFD);
    memset(out, 0, sizeof *out);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
           listens != 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockname(fd, &out->any, &len) == 0;
}

static bool is_at(const any_address *a, const struct sockaddr *wanted, socklen_t len, bool any_family)
{
    any_address w = {0};
    memcpy(&w, wanted, len < sizeof w ? len : sizeof w);
    if (a->any.sa_family == AF_UNIX && w.any.sa_family == AF_UNIX) {
        return strncmp(a->local.sun_path, w.local.sun_path, sizeof w.local.sun_path) == 0;
    }
    if (a->any.sa_family == AF_INET && w.any.sa_family == AF_INET) {
        return a->v4.sin_port == w.v4.sin_port && a->v4.sin_addr.s_addr == w.v4.sin_addr.s_addr;
    }
    if (a->any.sa_family == AF_INET6 && w.any.sa_family == AF_INET6) {
        return a->v6.sin6_port == w.v6.sin6_port && memcmp(&a->v6.sin6_addr, &w.v6.sin6_addr, sizeof w.v6.sin6_addr) == 0;
    }
    return any_family && a->any.sa_family == AF_INET6 && w.any.sa_family == AF_INET && a->v6.sin6_port == w.v4.sin_port &&
           w.v4.sin_addr.s_addr == htonl(INADDR_ANY) && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

int inherited_take(const struct sockaddr *addr, socklen_t len, bool any_family)
{
    const int end = FIRST + count();
    for (int fd = FIRST; fd < end; fd++) {
        any_address a;
        if (read_address(fd, &a) && is_at(&a, addr, len, any_family)) {
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            return fd;
        }
    }
    return -1;
}

static void describe(char out[160], const any_address *a)
{
    char host[INET6_ADDRSTRLEN] = "?";
    switch (a->any.sa_family) {
    case AF_UNIX:
        snprintf(out, 160, "ipc://%.*s", (int)sizeof a->local.sun_path, a->local.sun_path);
        break;
    case AF_INET:
        (void)inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(out, 160, "tcp://%s:%u", host, (unsigned)ntohs(a->v4.sin_port));
        break;
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(out, 160, "tcp://[%s]:%u", host, (unsigned)ntohs(a->v6.sin6_port));
        break;
    default:
        snprintf(out, 160, "family %d", (int)a->any.sa_family);
        break;
    }
}

void inherited_visit_left(void (*visit)(void *user, int fd, const char *address), void *user)
{
    const int end = FIRST + count();
    for (int fd = FIRST; fd < end; fd++) {
        any_address a;
        char text[160] = "no listening stream socket";
        const int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC) != 0) {
            continue;
        }
        if (read_address(fd, &a)) {
            describe(text, &a);
        }
        visit(user, fd, text);
    }
}
