/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: how it begins and ends, and what its owner may do with it. What the loop does with it is in peer_io.c. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/net/sp/internal.h"

loom_status sp_options_complete(sp_options *out, const sp_options *in)
{
    *out = *in;
    if (out->message_max == 0) {
        out->message_max = SP_MESSAGE_MAX_DEFAULT;
    }
    if (out->message_max > SIZE_MAX / 4) {
        out->message_max = SIZE_MAX / 4;
    }
    if (out->peer_buffer == 0) {
        out->peer_buffer = SP_PEER_BUFFER_DEFAULT;
    }
    if (out->ipc_mode == 0) {
        out->ipc_mode = 0600;
    }
    if (out->max_peers == 0) {
        out->max_peers = SP_MAX_PEERS_DEFAULT;
    }
    return sp_counterpart(out->protocol) != 0 && out->handlers != NULL ? LOOM_OK : LOOM_EINVAL;
}

void sp_peer_watch(sp_peer *p)
{
    if (p->state != SP_GREETING && p->state != SP_OPEN) {
        return;
    }
    int want = (sp_peer_stopped(p) ? 0 : UV_READABLE) | (p->blocked ? UV_WRITABLE : 0);
    if (!sp_peer_stopped(p) && (p->held || p->broken != 0)) {
        sp_hub_busy(p->hub, p);
    }
    if (want == p->events) {
        return;
    }
    p->events = want;
    if (want == 0) {
        uv_poll_stop(&p->poll);
    } else {
        uv_poll_start(&p->poll, want, p->on_poll);
    }
}

static void describe(sp_peer *p, bool ipc)
{
    struct ucred cred;
    socklen_t cred_len = sizeof cred;
    struct sockaddr_storage addr;
    socklen_t addr_len = sizeof addr;
    if (!ipc && getpeername(p->fd, (struct sockaddr *)&addr, &addr_len) == 0) {
        sp_address_name((struct sockaddr *)&addr, p->name, sizeof p->name);
    } else if (ipc && getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) == 0) {
        snprintf(p->name, sizeof p->name, "ipc:pid=%d,uid=%u", (int)cred.pid, (unsigned)cred.uid);
    } else if (p->name[0] == '\0') {
        snprintf(p->name, sizeof p->name, "%s", ipc ? "ipc" : "tcp");
    }
}

int sp_peer_start(sp_peer *p, int fd, bool ipc)
{
    const int on = 1, size = SP_SOCKET_BUFFER;
    uint8_t greeting[SP_GREETING_SIZE];
    p->fd = fd;
    describe(p, ipc);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (!ipc) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* a host that vanished is noticed one day */
    }
    sp_greeting(greeting, p->options->protocol);
    ssize_t sent = send(fd, greeting, sizeof greeting, MSG_NOSIGNAL | MSG_DONTWAIT); /* a new socket has room for it */
    int rc = sent == (ssize_t)sizeof greeting ? 0 : sent < 0 ? errno : EPIPE;
    if (rc == 0 && !p->polling) {
        rc = -uv_poll_init(p->hub->loop, &p->poll, fd);
        p->polling = rc == 0;
    }
    if (rc != 0) {
        if (!p->polling) {
            close(fd);
            p->fd = -1;
        }
        return rc;
    }
    p->poll.data = p;
    p->state = SP_GREETING;
    sp_peer_watch(p);
    return 0;
}

/* ---- the end ---- */

static void on_poll_closed(uv_handle_t *handle)
{
    sp_peer *p = handle->data;
    p->polling = false;
    p->gone(p);
}

static void on_never_polled(sp_deadline *d)
{
    sp_peer *p = d->user;
    p->gone(p);
}

void sp_peer_shut(sp_peer *p)
{
    if (p->state == SP_CLOSED) {
        return;
    }
    sp_peer_write(p);
    bool was_open = p->state == SP_OPEN;
    p->state = SP_CLOSED;
    sp_hub_not_busy(p->hub, p);
    sp_deadline_clear(p->hub, &p->deadline);
    sp_out_clear(&p->out, p->hub);
    if (p->server != NULL) {
        p->lost(p, was_open);
    }
    if (p->polling) {
        if (!uv_is_closing((uv_handle_t *)&p->poll)) { /* a dialled one may be on its way to the next address */
            uv_close((uv_handle_t *)&p->poll, on_poll_closed);
        }
    } else { /* gone from the loop all the same, never from within a call */
        p->deadline.passed = on_never_polled;
        sp_deadline_set(p->hub, &p->deadline, 0);
    }
    if (p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }
}

void sp_peer_end(sp_peer *p, loom_status status, const char *why)
{
    const sp_options *o = p->options;
    bool was_open = p->state == SP_OPEN;
    bool malformed = status == LOOM_EPROTO || status == LOOM_ETOOBIG;
    if (p->server != NULL) {
        sp_server *s = p->server;
        s->stats.malformed += was_open && malformed;
        s->stats.refused += !was_open;
        log_level level = malformed || status == LOOM_ETIMEDOUT ? LOG_WARN : LOG_DEBUG;
        sp_server_log(s, level, "%s closed a connection: %s peer=%s url=%s", sp_protocol_name((uint16_t)o->protocol), why,
                      p->name, s->url);
    }
    sp_peer_shut(p);
    if ((was_open || p->server == NULL) && o->handlers->closed != NULL) {
        o->handlers->closed(o->user, p, status, why);
    }
}

void sp_peer_close(sp_peer *p)
{
    if (p != NULL) {
        sp_peer_shut(p);
    }
}

/* ---- sending ---- */

/* A requester that does not read its answers is not asked for more requests: its answers would collect without end. */
static void choke(sp_peer *p)
{
    if (p->server == NULL || p->options->protocol != SP_REP) {
        return;
    }
    size_t limit = p->choked ? p->options->peer_buffer / 2 : p->options->peer_buffer;
    if (p->choked != (p->out.len > limit)) {
        p->choked = !p->choked;
        sp_peer_watch(p);
    }
}

void sp_peer_write(sp_peer *p)
{
    if (p->blocked || p->broken != 0 || p->out.len == 0 || p->state == SP_CLOSED) {
        return;
    }
    int rc = sp_out_write(&p->out, p->hub, p->fd);
    if (rc == EAGAIN || rc == EWOULDBLOCK) {
        p->blocked = true;
        sp_peer_watch(p);
    } else if (rc != 0) { /* what it sent before is read first, by sp_peer_run() */
        p->broken = rc;
        sp_out_clear(&p->out, p->hub);
        sp_hub_busy(p->hub, p);
    }
    choke(p);
}

loom_status sp_peer_add(sp_peer *p, const loom_bytes *parts, size_t count, size_t len)
{
    if (p->broken != 0) {
        return LOOM_ENOTCONN;
    }
    uint8_t head[SP_HEADER_MAX];
    const loom_bytes header = {head, sp_header(head, p->in.ipc, len)};
    loom_status st = sp_out_add(&p->out, p->hub, header, parts, count);
    if (st != LOOM_OK) {
        return st;
    }
    if (p->server != NULL) {
        p->server->stats.sent++;
    }
    if (!p->blocked) {
        sp_hub_busy(p->hub, p);
        if (p->out.len >= SP_WRITE_AT) {
            sp_peer_write(p);
        }
    }
    choke(p);
    return LOOM_OK;
}

loom_status sp_peer_send(sp_peer *p, const loom_bytes *parts, size_t count)
{
    if (p->state != SP_OPEN) {
        return LOOM_ENOTCONN;
    }
    if (p->options->protocol == SP_SUB || p->options->protocol == SP_PULL) {
        return LOOM_EINVAL;
    }
    return sp_peer_add(p, parts, count, sp_parts_len(parts, count));
}

size_t sp_peer_unsent(const sp_peer *p)
{
    return p->out.len;
}

void sp_peer_flush(sp_peer *p)
{
    sp_peer_write(p);
}

/* ---- the rest ---- */

void sp_peer_limit(sp_peer *p, size_t bytes)
{
    if (p->limit != bytes && p->fd >= 0) {
        const int size = bytes > 0 && bytes < SP_SOCKET_BUFFER ? (int)bytes : SP_SOCKET_BUFFER;
        (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* without it, others only wait longer */
        p->limit = bytes;
    }
}

void sp_peer_pause(sp_peer *p, bool paused)
{
    if (p->paused != paused) {
        p->paused = paused;
        sp_peer_watch(p);
    }
}

void sp_peer_set_user(sp_peer *p, void *user)
{
    p->own = user;
}

void *sp_peer_user(const sp_peer *p)
{
    return p->own;
}

const char *sp_peer_name(const sp_peer *p)
{
    return p->name;
}
