/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that connects by itself. Names are looked up by libuv's pool; the addresses of a name are tried one after the
 * other. Whatever goes wrong, even at once, is told from the loop. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/socket_trust.h"
#include "host/net/sp/internal.h"

enum { AGAIN_MS = 10 };

typedef struct sp_dialled {
    sp_peer peer;
    sp_options options;
    bool ipc;
    bool resolving;             /* the look-up is with the pool */
    bool failed;                /* status and why are to be told */
    uv_getaddrinfo_t lookup;
    sp_address addresses[SP_ADDRESSES_MAX];
    size_t count, at;
    sp_deadline later;          /* the next address, or the failure */
    loom_status status;
    char why[SP_WHY_SIZE];
} sp_dialled;

static void try_address(sp_dialled *d);

static sp_dialled *of(sp_peer *p)
{
    return (sp_dialled *)p;
}

static loom_status status_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM: return LOOM_EDENIED;
    case ENOMEM:
    case ENOBUFS: return LOOM_ENOMEM;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOENT:
    case ENOTDIR:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH: return LOOM_ENOTCONN;
    default: return LOOM_EIO;
    }
}

/* ---- the end ---- */

static void on_released(void *user)
{
    free(user);
}

/* The poll is closed, or there never was one. */
static void on_gone(sp_peer *p)
{
    sp_dialled *d = of(p);
    if (p->state != SP_CLOSED) { /* only this address was closed */
        sp_deadline_set(p->hub, &d->later, 0);
        return;
    }
    if (d->resolving) {
        (void)uv_cancel((uv_req_t *)&d->lookup); /* either way on_resolved() comes back here */
        return;
    }
    sp_deadline_clear(p->hub, &d->later);
    sp_stream_fini(&p->in);
    sp_hub_release(p->hub, on_released, d);
}

static void fail(sp_dialled *d, loom_status status, const char *why)
{
    d->failed = true;
    d->status = status;
    snprintf(d->why, sizeof d->why, "%s", why);
}

/* This address did not do: the next one, or the end of it. */
static void give_up_address(sp_dialled *d, int error)
{
    if (++d->at >= d->count) {
        fail(d, status_of(error), strerror(error));
    }
    sp_deadline_set(d->peer.hub, &d->later, 0);
}

static void on_later(sp_deadline *later)
{
    sp_dialled *d = later->user;
    if (d->peer.polling) {
        return; /* on_gone() sets it again */
    }
    if (d->peer.state != SP_DIALLING) {
        return;
    }
    if (d->failed) {
        sp_peer_end(&d->peer, d->status, d->why);
    } else {
        try_address(d);
    }
}

/* ---- connecting ---- */

static void on_attempt_closed(uv_handle_t *handle)
{
    sp_peer *p = handle->data;
    p->polling = false;
    on_gone(p);
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
    sp_peer *p = poll->data;
    sp_dialled *d = of(p);
    int error = 0;
    socklen_t len = sizeof error;
    (void)events;
    if (status < 0) {
        p->events = 0;
    }
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error == 0 && status < 0) {
        error = ECONNRESET;
    }
    if (error == 0) {
        error = sp_peer_start(p, p->fd, d->ipc);
    }
    if (error != 0) {
        int fd = p->fd;
        p->fd = -1;
        p->events = 0;
        uv_close((uv_handle_t *)poll, on_attempt_closed);
        close(fd);
        give_up_address(d, error);
    }
}

static void wait_for(sp_dialled *d, int fd)
{
    sp_peer *p = &d->peer;
    int rc = uv_poll_init(p->hub->loop, &p->poll, fd);
    if (rc != 0) {
        close(fd);
        give_up_address(d, -rc);
        return;
    }
    p->poll.data = p;
    p->polling = true;
    p->fd = fd;
    p->events = UV_WRITABLE;
    uv_poll_start(&p->poll, UV_WRITABLE, on_connected);
}

/* Before a byte is said. fd: -1 before there is a connection. False: the dial has failed. */
static bool is_trusted(sp_dialled *d, const sp_address *a, int fd)
{
    if (!d->ipc) {
        return true;
    }
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->addr; /* an abstract name begins with a NUL */
    char why[SP_WHY_SIZE];
    loom_status st = fd < 0 ? socket_trust_path(un->sun_path, why, sizeof why)
                            : socket_trust_peer(un->sun_path, fd, why, sizeof why);
    if (st != LOOM_OK) {
        fail(d, st, why);
        sp_deadline_set(d->peer.hub, &d->later, 0);
    }
    return st == LOOM_OK;
}

static void try_address(sp_dialled *d)
{
    const sp_address *a = &d->addresses[d->at];
    if (!is_trusted(d, a, -1)) {
        return;
    }
    int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        give_up_address(d, errno);
        return;
    }
    int error = connect(fd, (const struct sockaddr *)&a->addr, a->len) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        wait_for(d, fd);
        return;
    }
    if (error == 0 && !is_trusted(d, a, fd)) {
        close(fd);
        return;
    }
    if (error == 0) {
        error = sp_peer_start(&d->peer, fd, d->ipc); /* closes fd when it fails */
    } else {
        close(fd);
    }
    if (error == EAGAIN) { /* a unix socket whose queue is full of others */
        sp_deadline_set(d->peer.hub, &d->later, AGAIN_MS);
    } else if (error != 0) {
        give_up_address(d, error);
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    sp_dialled *d = req->data;
    d->resolving = false;
    for (const struct addrinfo *at = found; at != NULL && d->count < SP_ADDRESSES_MAX; at = at->ai_next) {
        sp_address *a = &d->addresses[d->count++];
        memcpy(&a->addr, at->ai_addr, at->ai_addrlen);
        a->len = at->ai_addrlen;
    }
    uv_freeaddrinfo(found);
    if (d->peer.state == SP_CLOSED) {
        if (!d->peer.deadline.set) { /* otherwise that comes back */
            on_gone(&d->peer);
        }
        return;
    }
    if (d->count == 0) {
        fail(d, LOOM_ENOTFOUND, status != 0 ? uv_strerror(status) : "the name has no address");
        sp_deadline_set(d->peer.hub, &d->later, 0);
        return;
    }
    try_address(d);
}

/* ---- from the owner ---- */

static loom_status begin(sp_dialled *d, const sp_url *u)
{
    if (!u->named) {
        d->addresses[0] = u->address;
        d->count = 1;
        try_address(d);
        return LOOM_OK;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)u->tcp.port);
    d->lookup.data = d;
    int rc = uv_getaddrinfo(d->peer.hub->loop, &d->lookup, on_resolved, u->tcp.host, port, &hints);
    if (rc != 0) {
        return rc == UV_ENOMEM ? LOOM_ENOMEM : rc == UV_ENAMETOOLONG ? LOOM_EINVAL : LOOM_EIO;
    }
    d->resolving = true;
    return LOOM_OK;
}

loom_status sp_dial(sp_peer **out, uv_loop_t *loop, const char *text, const sp_options *options, uint32_t timeout_ms)
{
    *out = NULL;
    sp_url u;
    char why[URL_ERROR_SIZE];
    if (sp_url_parse(&u, text, why) != LOOM_OK || u.any || (!u.ipc && u.tcp.port == 0)) {
        return LOOM_EINVAL;
    }
    sp_dialled *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return LOOM_ENOMEM;
    }
    sp_peer *p = &d->peer;
    sp_hub *hub = NULL;
    loom_status st = sp_options_complete(&d->options, options);
    if (st == LOOM_OK) {
        st = sp_hub_get(&hub, loop);
    }
    if (st != LOOM_OK) {
        free(d);
        return st;
    }
    uv_update_time(loop); /* the caller may come from outside of it, after a long while */
    sp_peer_init(p, hub, &d->options, u.ipc);
    d->ipc = u.ipc;
    d->later = (sp_deadline){.passed = on_later, .user = d};
    p->gone = on_gone;
    snprintf(p->name, sizeof p->name, "%s", text);
    if ((st = begin(d, &u)) != LOOM_OK) {
        free(d);
        sp_hub_release(hub, NULL, NULL);
        return st;
    }
    sp_deadline_set(hub, &p->deadline, timeout_ms > 0 ? timeout_ms : SP_DIAL_MS);
    *out = p;
    return LOOM_OK;
}
