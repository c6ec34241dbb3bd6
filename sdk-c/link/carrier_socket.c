/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier on plain sockets: ipc:// (unix streams) and tcp://, and the ground that the others lie on. */
#include "sdk-c/link/carrier.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/socket_trust.h"
#include "sdk-c/link/resolver.h"

typedef struct socket_carrier {
    carrier base;
    const url *url;
    int epoll_fd;
    int fd;                       /* -1: none yet */
    bool wants_room;              /* EPOLLOUT is asked for; guarded by the agent's lock, or the lock of the carrier above */
    resolver *resolving;          /* not ipc, until there is an answer */
    struct addrinfo *found, *next; /* not ipc: every address, and the one to try next */
    unsigned attempt;
} socket_carrier;

static loom_status fail(socket_carrier *s, const char *what, int error)
{
    snprintf(s->base.why, sizeof s->base.why, "%s%s%s", what, error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    switch (error) { /* so that whoever is told knows what can be done about it */
    case ENOMEM: return LOOM_ENOMEM;
    case EMFILE:
    case ENFILE: return LOOM_EFULL;
    case EACCES:
    case EPERM: return LOOM_EDENIED;
    case ENOENT:
    case ECONNREFUSED: return LOOM_ENOTCONN;
    case ETIMEDOUT: return LOOM_ETIMEDOUT;
    default: return LOOM_EIO;
    }
}

static int watch(const socket_carrier *s, int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = CARRIER_TAG};
    return epoll_ctl(s->epoll_fd, op, fd, &event);
}

static void drop_fd(socket_carrier *s)
{
    if (s->fd >= 0) {
        close(s->fd); /* leaves the epoll set by itself: nobody else has a copy */
        s->fd = -1;
    }
}

/* LOOM_OK: connected at once. LOOM_EBUSY: under way. LOOM_EIO: refused; *error says why. */
static loom_status dial(socket_carrier *s, const struct sockaddr *addr, socklen_t len, int *error)
{
    s->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        *error = errno;
        return LOOM_EIO;
    }
    if (addr->sa_family != AF_UNIX) {
        int on = 1;
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    int result = connect(s->fd, addr, len);
    *error = result == 0 ? 0 : errno;
    if (*error != 0 && *error != EINPROGRESS) {
        drop_fd(s);
        return LOOM_EIO;
    }
    if (watch(s, EPOLL_CTL_ADD, s->fd, *error == 0 ? EPOLLIN : EPOLLOUT) != 0) {
        *error = errno;
        drop_fd(s);
        return LOOM_EIO;
    }
    return *error == 0 ? LOOM_OK : LOOM_EBUSY;
}

/* The addresses in turn, beginning with another one at each attempt. */
static loom_status dial_next(socket_carrier *s, int error)
{
    while (s->next != NULL) {
        struct addrinfo *at = s->next;
        s->next = at->ai_next;
        loom_status st = dial(s, at->ai_addr, at->ai_addrlen, &error);
        if (st != LOOM_EIO) {
            return st;
        }
    }
    return fail(s, "cannot connect", error);
}

/* Turns the list so that it begins with the address whose turn it is. */
static void rotate(socket_carrier *s)
{
    unsigned count = 0;
    struct addrinfo *last = NULL;
    for (struct addrinfo *at = s->found; at != NULL; at = at->ai_next) {
        last = at;
        count++;
    }
    for (unsigned skip = count > 1 ? s->attempt % count : 0; skip > 0; skip--) {
        struct addrinfo *first = s->found;
        s->found = first->ai_next;
        first->ai_next = NULL;
        last->ai_next = first;
        last = first;
    }
    s->next = s->found;
}

static loom_status socket_connect(carrier *c)
{
    socket_carrier *s = (socket_carrier *)c;
    if (s->resolving != NULL) {
        const char *why;
        loom_status st = resolver_take(s->resolving, &s->found, &why);
        if (st == LOOM_EBUSY) {
            return st;
        }
        watch(s, EPOLL_CTL_DEL, resolver_fd(s->resolving), 0);
        resolver_close(s->resolving);
        s->resolving = NULL;
        if (st != LOOM_OK) {
            snprintf(c->why, sizeof c->why, "%.80s: %s", s->url->host, why);
            return st;
        }
        rotate(s);
    }
    if (s->fd < 0) {
        return dial_next(s, 0);
    }
    int error = 0;
    socklen_t len = sizeof error;
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error == 0 && getpeername(s->fd, (struct sockaddr *)&peer, &peer_len) != 0) {
        if (errno == ENOTCONN) {
            return LOOM_EBUSY;
        }
        error = errno;
    }
    if (error != 0) {
        drop_fd(s);
        return dial_next(s, error);
    }
    return watch(s, EPOLL_CTL_MOD, s->fd, EPOLLIN) == 0 ? LOOM_OK : fail(s, "epoll", errno);
}

static void socket_watch_room(carrier *c, bool on)
{
    socket_carrier *s = (socket_carrier *)c;
    if (s->wants_room != on) {
        s->wants_room = on;
        watch(s, EPOLL_CTL_MOD, s->fd, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static loom_status socket_send(carrier *c, const struct iovec *iov, size_t count, size_t *sent)
{
    socket_carrier *s = (socket_carrier *)c;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t n;
    do {
        n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
        return LOOM_EIO;
    }
    return *sent > 0 ? LOOM_OK : LOOM_EBUSY;
}

static loom_status socket_receive(carrier *c, void *into, size_t room, size_t *got)
{
    socket_carrier *s = (socket_carrier *)c;
    ssize_t n;
    do {
        n = recv(s->fd, into, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        return LOOM_OK;
    }
    if (n == 0) {
        snprintf(c->why, sizeof c->why, "the bridge closed the connection");
        return LOOM_ECLOSED;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? LOOM_EBUSY : fail(s, "connection broken", errno);
}

static void socket_finish(carrier *c)
{
    shutdown(((socket_carrier *)c)->fd, SHUT_WR);
}

static void socket_close(carrier *c)
{
    socket_carrier *s = (socket_carrier *)c;
    if (s->resolving != NULL) {
        watch(s, EPOLL_CTL_DEL, resolver_fd(s->resolving), 0); /* the thread may keep the descriptor open for long */
        resolver_close(s->resolving);
    }
    if (s->found != NULL) {
        freeaddrinfo(s->found);
    }
    drop_fd(s);
    free(s);
}

static const carrier_ops socket_ops = {socket_connect, socket_send,   socket_watch_room,
                                       socket_receive, socket_finish, socket_close};

static loom_status begin_unix(socket_carrier *s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int error;
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", s->url->path);
    loom_status st = socket_trust_path(addr.sun_path, s->base.why, sizeof s->base.why);
    if (st != LOOM_OK) {
        return st;
    }
    /* a unix connect answers at once; EAGAIN is a listener with a full backlog */
    if (dial(s, (struct sockaddr *)&addr, sizeof addr, &error) == LOOM_EIO) {
        return fail(s, "cannot connect", error);
    }
    return socket_trust_peer(addr.sun_path, s->fd, s->base.why, sizeof s->base.why);
}

static loom_status begin_tcp(socket_carrier *s)
{
    char port[6];
    snprintf(port, sizeof port, "%u", (unsigned)s->url->port);
    loom_status st = resolver_start(&s->resolving, &s->found, s->url->host, port);
    if (st != LOOM_OK) {
        snprintf(s->base.why, sizeof s->base.why, "%.80s: %s", s->url->host, loom_status_text(st));
        return st;
    }
    if (s->resolving != NULL) {
        return watch(s, EPOLL_CTL_ADD, resolver_fd(s->resolving), EPOLLIN) == 0 ? LOOM_OK : fail(s, "epoll", errno);
    }
    rotate(s);
    st = dial_next(s, 0);
    return st == LOOM_EBUSY ? LOOM_OK : st;
}

loom_status carrier_socket_open(carrier **out, const carrier_options *options, char why[LINK_WHY_SIZE])
{
    *out = NULL;
    socket_carrier *s = calloc(1, sizeof *s);
    if (s == NULL) {
        snprintf(why, LINK_WHY_SIZE, "%s", loom_status_text(LOOM_ENOMEM));
        return LOOM_ENOMEM;
    }
    s->base.ops = &socket_ops;
    s->url = options->url;
    s->epoll_fd = options->epoll_fd;
    s->attempt = options->attempt;
    s->fd = -1;
    loom_status st = s->url->scheme == URL_IPC ? begin_unix(s) : begin_tcp(s);
    if (st != LOOM_OK) {
        snprintf(why, LINK_WHY_SIZE, "%s", s->base.why);
        socket_close(&s->base);
        return st;
    }
    *out = &s->base;
    return LOOM_OK;
}
