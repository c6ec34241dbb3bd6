/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come in. Sockets are accepted here, and not by libuv, which without a descriptor would either try again
 * at once, for ever, or close whoever waits. */
#include "host/http/internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511, ACCEPTS_MAX = 64 /* in one round */, PAUSE_MS = 100, TELL_MS = 10000 };

static void on_acceptable(uv_poll_t *handle, int status, int events);

/* ---- accepting ---- */

static void tell(http_server *s, int error)
{
    uint64_t now = uv_now(s->loop);
    if (s->told_ms != 0 && now - s->told_ms < TELL_MS) {
        s->untold++;
        return;
    }
    log_warn(s->options.log, "connections wait to be accepted: %s suppressed=%llu", strerror(error), (unsigned long long)s->untold);
    s->told_ms = now;
    s->untold = 0;
}

static void on_pause_over(uv_timer_t *timer)
{
    http_listener *l = timer->data;
    if (!l->closing) {
        uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    }
}

/* Trying at once would keep a core busy: the socket stays readable. */
static void pause_accepting(http_listener *l, int error)
{
    tell(l->server, error);
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

static void refuse(http_listener *l, int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: 21\r\nRetry-After: 1\r\nConnection: close\r\n\r\ntoo many connections\n";
    l->server->counts.refused++;
    if (l->tls == NULL) {
        (void)send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    close(fd);
}

static bool is_out_of_something(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool somebody_comes(const http_listener *l)
{
    struct pollfd backlog = {.fd = l->fd, .events = POLLIN};
    return poll(&backlog, 1, 0) == 1;
}

/* accept() fails for want of a descriptor even when nobody comes. False: the round is over. */
static bool find_descriptor(http_listener *l, int error)
{
    if (!somebody_comes(l)) {
        return false;
    }
    http_room room = http_server_make_room(l->server, NULL);
    if (room == ROOM_NONE) {
        pause_accepting(l, error);
    }
    return room == ROOM_MADE;
}

/* False: the round is over. */
static bool accept_one(http_listener *l)
{
    const http_server_options *o = &l->server->options;
    size_t max = l->options.max_connections;
    bool crowded = max > 0 && l->connections >= max;
    if (crowded && !somebody_comes(l)) {
        return false; /* nobody has to go for nobody */
    }
    http_room room = crowded ? http_server_make_room(l->server, l) : ROOM_MADE;
    if (room == ROOM_SOON) {
        return false;
    }
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        return is_out_of_something(error) ? find_descriptor(l, error) : error == EINTR || error == ECONNABORTED;
    }
    if (o->descriptor_limit > 0 && fd >= o->descriptor_limit && room != ROOM_NONE) {
        room = http_server_make_room(l->server, NULL);
    }
    if (room == ROOM_NONE) {
        refuse(l, fd);
    } else {
        http_connection_open(l, fd);
    }
    return true;
}

static void on_acceptable(uv_poll_t *handle, int status, int events)
{
    http_listener *l = handle->data;
    (void)status, (void)events;
    for (size_t i = 0; i < ACCEPTS_MAX && !l->closing && accept_one(l); i++) {
    }
}

/* ---- the socket ---- */

static int bind_at(int family, const struct sockaddr *addr, socklen_t len, bool both)
{
    int on = 1, off = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && ((both && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
                    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, addr, len) != 0 ||
                    listen(fd, BACKLOG) != 0)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Every address: of both families where there is IPv6, otherwise of IPv4. */
static int bind_any(uint16_t port)
{
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    int fd = bind_at(AF_INET6, (const struct sockaddr *)&six, sizeof six, true);
    return fd >= 0 || errno == EADDRINUSE ? fd : bind_at(AF_INET, (const struct sockaddr *)&four, sizeof four, false);
}

static int open_socket(const url *u, char why[HTTP_ERROR_SIZE])
{
    int fd;
    if (strcmp(u->host, "*") == 0) {
        fd = bind_any(u->port);
    } else {
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        struct addrinfo *found = NULL;
        char port[8];
        snprintf(port, sizeof port, "%u", (unsigned)u->port);
        /* at start only, before there is anybody to delay */
        int rc = getaddrinfo(u->host, port, &hints, &found);
        if (rc != 0) {
            snprintf(why, HTTP_ERROR_SIZE, "%s", gai_strerror(rc));
            return -1;
        }
        fd = bind_at(found->ai_family, found->ai_addr, found->ai_addrlen, false);
        int error = errno;
        freeaddrinfo(found);
        errno = error;
    }
    if (fd < 0) {
        snprintf(why, HTTP_ERROR_SIZE, "%s", errno == EADDRINUSE ? "the address is in use" : strerror(errno));
    }
    return fd;
}

static void real_port(int fd, url *u)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0) {
        u->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                   : ((struct sockaddr_in *)&addr)->sin_port);
    }
}

/* ---- its life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    http_listener *l = handle->data;
    if (--l->handles == 0) {
        http_server_left(l->server);
    }
}

void http_listener_close(http_listener *l)
{
    if (!l->closing) {
        l->closing = true;
        uv_close((uv_handle_t *)&l->poll, on_handle_closed);
        uv_close((uv_handle_t *)&l->pause, on_handle_closed);
        close(l->fd);
    }
}

static loom_status open_tls(http_listener *l, char why[HTTP_ERROR_SIZE])
{
    http_server *s = l->server;
    if ((l->scheme & (URL_TLS | URL_WSS | URL_HTTPS)) == 0) {
        return LOOM_OK;
    }
    if (l->options.tls_cert_key_file == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "a certificate is needed: set tls_cert_key_file");
        return LOOM_EINVAL;
    }
    if (s->plain_buffer == NULL && (s->plain_buffer = malloc(READ_SIZE)) == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    return tls_context_open(&l->tls, l->options.tls_cert_key_file, why, HTTP_ERROR_SIZE);
}

loom_status http_server_listen(http_server *s, url *u, const http_listen_options *options, char why[HTTP_ERROR_SIZE])
{
    http_listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        snprintf(why, HTTP_ERROR_SIZE, "out of memory");
        return LOOM_ENOMEM;
    }
    l->server = s;
    l->options = *options;
    l->scheme = u->scheme;
    loom_status st = open_tls(l, why);
    if (st != LOOM_OK) {
        goto free_listener;
    }
    if ((l->fd = open_socket(u, why)) < 0) {
        st = errno == EADDRINUSE ? LOOM_EBUSY : LOOM_EIO;
        goto close_tls;
    }
    real_port(l->fd, u);
    uv_timer_init(s->loop, &l->pause);
    l->poll.data = l->pause.data = l;
    if (uv_poll_init(s->loop, &l->poll, l->fd) != 0) {
        snprintf(why, HTTP_ERROR_SIZE, "the event loop does not take the socket");
        st = LOOM_EIO;
        goto close_socket;
    }
    l->handles = 2;
    uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    l->next = s->listeners;
    s->listeners = l;
    return LOOM_OK;

close_socket:
    close(l->fd);
close_tls:
    tls_context_close(l->tls);
free_listener:
    free(l);
    return st;
}
