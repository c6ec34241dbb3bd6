/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop asks of a peer: to read and write by the poll, at the end of a round, and when a deadline has passed. Only
 * this calls handlers about messages. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/net/sp/internal.h"

enum { READS_AT_ONCE = 4 }; /* of one peer, before the others have their turn */

/* ---- messages ---- */

static void on_greeted(sp_peer *p)
{
    p->state = SP_OPEN;
    sp_deadline_clear(p->hub, &p->deadline);
    if (p->server != NULL) {
        p->server->stats.accepted++;
        p->server->stats.peers++;
    }
    sp_peer_watch(p); /* only the greeting is read from a server that pauses */
    if (p->options->handlers->opened != NULL) {
        p->options->handlers->opened(p->options->user, p);
    }
}

static void on_request(sp_peer *p, sp_buffer body)
{
    size_t ids;
    loom_status st = sp_backtrace(body.data, body.size, &ids);
    if (st == LOOM_ETOOBIG) { /* as nng does: it went round in circles, which is not this peer's mistake */
        sp_server_log(p->server, LOG_WARN, "REP dropped a request that passed more than %d devices peer=%s url=%s",
                      SP_BACKTRACE_MAX, p->name, p->server->url);
        return;
    }
    if (st != LOOM_OK) {
        sp_peer_end(p, LOOM_EPROTO, "a request without its id");
        return;
    }
    p->server->stats.received++;
    p->asked++;
    sp_reply_to to = {.peer = p, .peer_number = p->number, .backtrace_len = ids};
    memcpy(to.backtrace, body.data, ids);
    p->options->handlers->message(p->options->user, p, body.data + ids, body.size - ids, &to);
}

static void on_message(sp_peer *p, sp_buffer body)
{
    sp_protocol own = p->options->protocol;
    if (own == SP_PUB || own == SP_PUSH) {
        sp_peer_end(p, LOOM_EPROTO, "a message where only ours are sent");
    } else if (own == SP_REP && p->server != NULL) {
        on_request(p, body);
    } else {
        if (p->server != NULL) {
            p->server->stats.received++;
        }
        p->options->handlers->message(p->options->user, p, body.data, body.size, NULL);
    }
}

/* Hands over what has been received. False: p is closed. */
static bool hand_over(sp_peer *p)
{
    for (sp_event event = SP_EVENT_MESSAGE; event != SP_EVENT_MORE && !sp_peer_stopped(p);) {
        sp_buffer body;
        loom_status status;
        char why[SP_WHY_SIZE];
        event = sp_stream_next(&p->in, &body, &status, why);
        if (event == SP_EVENT_GREETED) {
            on_greeted(p);
        } else if (event == SP_EVENT_MESSAGE) {
            on_message(p, body);
        } else if (event == SP_EVENT_BROKEN) {
            sp_peer_end(p, status, why);
        }
        if (p->state == SP_CLOSED) {
            return false;
        }
    }
    p->held = sp_peer_stopped(p) && sp_stream_left(&p->in) > 0;
    if (!sp_stream_rest(&p->in, p->hub->shared)) {
        sp_peer_end(p, LOOM_ENOMEM, "out of memory");
        return false;
    }
    return true;
}

/* ---- reading ---- */

static loom_status status_of(int error)
{
    return error == ECONNRESET || error == EPIPE ? LOOM_ECLOSED : LOOM_EIO;
}

/* Nothing more comes from it. */
static void at_end(sp_peer *p)
{
    bool partial = p->in.partial_len > 0;
    sp_peer_end(p, LOOM_ECLOSED, p->state == SP_GREETING ? "the other side left before its greeting"
                                 : partial               ? "the other side left in the middle of a message"
                                                         : "the other side left");
}

/* False: there is nothing more for now, or p is closed. */
static bool read_once(sp_peer *p)
{
    const size_t had = p->in.partial_cap;
    sp_buffer room = sp_stream_room(&p->in, p->hub->shared);
    if (room.data == NULL) {
        sp_peer_end(p, LOOM_ENOMEM, "out of memory");
        return false;
    }
    if (p->in.partial_cap > had && p->server != NULL) {
        sp_server_bound_halves(p->server, p);
    }
    ssize_t got;
    do {
        got = recv(p->fd, room.data, room.size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        sp_stream_received(&p->in, p->hub->shared, (size_t)got);
        return hand_over(p) && ((size_t)got == room.size || p->broken != 0);
    }
    int error = got < 0 ? errno : 0;
    if (got == 0) {
        at_end(p);
    } else if (error != EAGAIN && error != EWOULDBLOCK) {
        sp_peer_end(p, status_of(error), strerror(error));
    } else if (p->broken != 0) {
        sp_peer_end(p, status_of(p->broken), strerror(p->broken));
    }
    return false;
}

static void read_some(sp_peer *p)
{
    if (p->held) {
        p->held = false;
        sp_stream_again(&p->in);
        if (!hand_over(p)) {
            return;
        }
    }
    for (unsigned i = 0; i < READS_AT_ONCE && !sp_peer_stopped(p); i++) {
        if (!read_once(p)) {
            return;
        }
    }
    if (p->broken != 0 && p->state != SP_CLOSED && !sp_peer_stopped(p)) {
        sp_hub_busy(p->hub, p); /* the poll may not tell */
    }
}

/* ---- asked by the loop ---- */

static void run(sp_peer *p)
{
    sp_peer_write(p);
    if ((p->held || p->broken != 0) && !sp_peer_stopped(p)) {
        read_some(p);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    sp_peer *p = poll->data;
    if (status < 0) { /* libuv has stopped the poll; reading and writing tell what happened */
        events = p->events;
        p->events = 0;
    }
    if ((events & UV_WRITABLE) != 0 && p->blocked) {
        p->blocked = false;
        sp_peer_write(p);
        if (!p->blocked && p->broken == 0 && p->state == SP_OPEN && p->options->handlers->drained != NULL) {
            p->options->handlers->drained(p->options->user, p);
        }
    }
    if (p->state == SP_CLOSED) {
        return;
    }
    if ((events & UV_READABLE) != 0 && !sp_peer_stopped(p)) {
        read_some(p);
    }
    sp_peer_watch(p);
}

static void on_deadline(sp_deadline *d)
{
    sp_peer *p = d->user;
    if (p->state == SP_GREETING) {
        read_some(p); /* it may lie there already, if the loop was busy for that long */
    }
    if (p->state == SP_DIALLING) {
        sp_peer_end(p, LOOM_ETIMEDOUT, "no connection in time");
    } else if (p->state == SP_GREETING) {
        sp_peer_end(p, LOOM_ETIMEDOUT, "no greeting in time");
    }
}

void sp_peer_init(sp_peer *p, sp_hub *hub, const sp_options *options, bool ipc)
{
    p->hub = hub;
    p->options = options;
    p->fd = -1;
    p->deadline.passed = on_deadline;
    p->deadline.user = p;
    p->on_poll = on_poll;
    p->run = run;
    sp_stream_init(&p->in, ipc, options->protocol, options->message_max);
}
