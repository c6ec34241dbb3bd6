/* SPDX-License-Identifier: Apache-2.0 */
/* A server: accepts peers, and speaks to all of them or to the one who asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/net/sp/internal.h"

enum { ACCEPTS_AT_ONCE = 64, PAUSE_MS = 100, SLOT_BITS = 24, SLOTS_FROM = 16 };

static void on_connections(uv_poll_t *poll, int status, int events);

/* ---- the end ---- */

/* NULL is allowed. */
static void server_free(sp_server *s)
{
    if (s != NULL) {
        free(s->slots);
        free(s);
    }
}

static void on_released(void *user)
{
    sp_server *s = user;
    void (*closed)(void *user) = s->closed;
    void *closed_user = s->closed_user;
    server_free(s);
    if (closed != NULL) {
        closed(closed_user);
    }
}

static void handle_gone(sp_server *s)
{
    if (--s->handles == 0 && s->closing) {
        sp_hub_release(s->hub, on_released, s);
    }
}

/* ---- peers ---- */

static void on_peer_gone(sp_peer *p)
{
    sp_server *s = p->server;
    sp_stream_fini(&p->in);
    free(p);
    handle_gone(s);
}

static loom_status take_slot(sp_server *s, sp_peer *p)
{
    if (s->connections == s->slot_count) {
        uint32_t count = s->slot_count > 0 ? s->slot_count * 2 : SLOTS_FROM;
        sp_peer **grown = realloc(s->slots, count * sizeof *grown);
        if (grown == NULL) {
            return LOOM_ENOMEM;
        }
        memset(grown + s->slot_count, 0, (count - s->slot_count) * sizeof *grown);
        s->slot_hint = s->slot_count;
        s->slots = grown;
        s->slot_count = count;
    }
    while (s->slots[s->slot_hint] != NULL) {
        s->slot_hint = (s->slot_hint + 1) % s->slot_count;
    }
    s->slots[s->slot_hint] = p;
    p->number = ++s->numbers << SLOT_BITS | s->slot_hint;
    return LOOM_OK;
}

static void add_peer(sp_server *s, sp_peer *p)
{
    p->next = s->peers;
    if (p->next != NULL) {
        p->next->prev = p;
    }
    s->peers = p;
    s->connections++;
    s->handles++;
}

static uint32_t slot_of(uint64_t number)
{
    return (uint32_t)(number & ((1u << SLOT_BITS) - 1));
}

static void on_peer_lost(sp_peer *p, bool was_open)
{
    sp_server *s = p->server;
    if (p->prev != NULL) {
        p->prev->next = p->next;
    } else {
        s->peers = p->next;
    }
    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
    p->prev = p->next = NULL;
    s->slot_hint = slot_of(p->number);
    s->slots[s->slot_hint] = NULL;
    s->connections--;
    s->stats.peers -= was_open;
}

static void refuse(sp_server *s, int fd, const char *why)
{
    close(fd);
    s->stats.refused++;
    log_to_limited(&s->log, &s->full_lines, 1, uv_now(s->hub->loop), LOG_WARN, "%s refused a connection: %s peers=%u url=%s",
                   sp_protocol_name((uint16_t)s->options.protocol), why, (unsigned)s->connections, s->url);
}

/* Nobody misses it: silent before its greeting, or between two requests. One that came in this round has not been heard. */
static bool may_make_room(const sp_server *s, const sp_peer *p)
{
    bool waits = p->state == SP_GREETING ||
                 (p->state == SP_OPEN && s->options.protocol == SP_REP && p->asked == 0 && p->out.len == 0);
    return waits && p->quiet_since_ms < uv_now(s->hub->loop);
}

/* Otherwise a few connections that say nothing would keep everybody out. */
static bool make_room(sp_server *s)
{
    sp_peer *longest = NULL;
    for (sp_peer *p = s->peers; p != NULL; p = p->next) {
        if (may_make_room(s, p) && (longest == NULL || p->quiet_since_ms <= longest->quiet_since_ms)) {
            longest = p;
        }
    }
    if (longest == NULL) {
        return false;
    }
    log_to_limited(&s->log, &s->full_lines, 1, uv_now(s->hub->loop), LOG_WARN,
                   "%s closed an idle connection: there are as many peers as are allowed peers=%u peer=%s url=%s",
                   sp_protocol_name((uint16_t)s->options.protocol), (unsigned)s->connections, longest->name, s->url);
    sp_peer_end(longest, LOOM_EFULL, "its place is needed for another");
    return true;
}

void sp_server_bound_halves(sp_server *s, sp_peer *grown)
{
    size_t all = 0;
    sp_peer *oldest = NULL;
    grown->half_ms = uv_now(s->hub->loop);
    for (sp_peer *p = s->peers; p != NULL && s->options.protocol == SP_PULL; p = p->next) {
        if (p->state == SP_OPEN && p->in.apart) {
            all += p->in.partial_cap;
            oldest = p != grown && (oldest == NULL || p->half_ms <= oldest->half_ms) ? p : oldest;
        }
    }
    if (all > SP_HALVES_MAX && oldest != NULL) {
        sp_peer_end(oldest, LOOM_EFULL, "its half message has taken too long while others need the memory");
    }
}

static void welcome(sp_server *s, int fd)
{
    bool crowded = s->connections >= s->options.max_peers;
    bool scarce = s->options.descriptor_limit > 0 && fd >= s->options.descriptor_limit;
    if ((crowded || scarce) && !make_room(s)) {
        refuse(s, fd, crowded ? "there are as many peers as are allowed" : "the descriptors left are kept for others");
        return;
    }
    sp_peer *p = calloc(1, sizeof *p);
    if (p == NULL || take_slot(s, p) != LOOM_OK) {
        free(p);
        refuse(s, fd, "out of memory");
        return;
    }
    sp_peer_init(p, s->hub, &s->options, s->ipc);
    p->server = s;
    p->quiet_since_ms = uv_now(s->hub->loop);
    p->lost = on_peer_lost;
    p->gone = on_peer_gone;
    int rc = sp_peer_start(p, fd, s->ipc);
    if (rc != 0) { /* usually it has left already */
        s->slots[slot_of(p->number)] = NULL;
        free(p);
        s->stats.refused++;
        sp_server_log(s, LOG_DEBUG, "%s lost a new connection: %s url=%s",
                      sp_protocol_name((uint16_t)s->options.protocol), strerror(rc), s->url);
        return;
    }
    add_peer(s, p);
    sp_deadline_set(s->hub, &p->deadline, SP_GREETING_MS);
}

/* ---- accepting ---- */

static void start_accepting(sp_server *s)
{
    uv_poll_start(&s->poll, UV_READABLE, on_connections);
}

static void on_again(sp_deadline *d)
{
    start_accepting(d->user);
}

/* Out of descriptors, most likely. Those who wait go on waiting in the kernel's queue; asking all the time would burn the
 * processor that could free some. */
static void pause_accepting(sp_server *s, int error)
{
    uv_poll_stop(&s->poll);
    sp_deadline_set(s->hub, &s->again, PAUSE_MS);
    log_to_limited(&s->log, &s->pause_lines, 1, uv_now(s->hub->loop), LOG_WARN,
                   "%s cannot accept a connection now: %s url=%s", sp_protocol_name((uint16_t)s->options.protocol),
                   strerror(error), s->url);
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
    sp_server *s = poll->data;
    (void)events;
    if (status < 0) {
        pause_accepting(s, -status);
        return;
    }
    for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(s->listening.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(s, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            pause_accepting(s, errno);
            return;
        }
    }
}

/* ---- life ---- */

static loom_status listen_on(sp_server *s, const char *text, char why[URL_ERROR_SIZE])
{
    sp_url u;
    loom_status st = sp_url_parse(&u, text, why);
    if (st != LOOM_OK) {
        return st;
    }
    s->ipc = u.ipc;
    st = u.abstract_name != NULL ? listening_open_abstract(&s->listening, u.abstract_name, why)
                                 : listening_open(&s->listening, &u.tcp, s->options.ipc_mode, why);
    if (st == LOOM_EBUSY) {
        snprintf(why, URL_ERROR_SIZE, "%s", LISTENING_TWICE);
    }
    if (st != LOOM_OK) {
        return st;
    }
    if (u.ipc || url_format(s->url, sizeof s->url, &u.tcp) != LOOM_OK) {
        snprintf(s->url, sizeof s->url, "%s", text);
    }
    int rc = uv_poll_init(s->hub->loop, &s->poll, s->listening.fd);
    if (rc != 0) {
        snprintf(why, URL_ERROR_SIZE, "%s", uv_strerror(rc));
        listening_unlink(&s->listening);
        close(s->listening.fd);
        return rc == UV_ENOMEM ? LOOM_ENOMEM : LOOM_EIO;
    }
    return LOOM_OK;
}

loom_status sp_listen(sp_server **out, uv_loop_t *loop, const char *text, const sp_options *options)
{
    *out = NULL;
    const log_sink log = {options->log, options->user};
    char why[URL_ERROR_SIZE] = "";
    sp_server *s = calloc(1, sizeof *s);
    loom_status st = s != NULL ? sp_options_complete(&s->options, options) : LOOM_ENOMEM;
    if (st != LOOM_OK) {
        goto free_server;
    }
    s->log = log;
    if (sp_hub_get(&s->hub, loop) != LOOM_OK) {
        st = LOOM_ENOMEM;
        goto free_server;
    }
    if (s->options.max_peers > 1u << SLOT_BITS) {
        s->options.max_peers = 1u << SLOT_BITS;
    }
    if ((st = listen_on(s, text, why)) != LOOM_OK) {
        goto release_hub;
    }
    s->poll.data = s;
    s->again = (sp_deadline){.passed = on_again, .user = s};
    s->handles = 1;
    start_accepting(s);
    *out = s;
    return LOOM_OK;

release_hub:
    sp_hub_release(s->hub, NULL, NULL);
free_server:
    log_to(&log, LOG_ERROR, "cannot listen on %s: %s", text != NULL ? text : "?", why[0] != '\0' ? why : loom_status_text(st));
    server_free(s);
    return st;
}

static void on_listener_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void sp_server_close(sp_server *s, void (*closed)(void *user), void *user)
{
    if (s == NULL) {
        return;
    }
    s->closing = true;
    s->closed = closed;
    s->closed_user = user;
    listening_unlink(&s->listening);
    sp_deadline_clear(s->hub, &s->again);
    uv_close((uv_handle_t *)&s->poll, on_listener_closed);
    close(s->listening.fd);
    while (s->peers != NULL) {
        sp_peer_shut(s->peers);
    }
}

/* ---- what its owner asks for ---- */

const char *sp_server_url(const sp_server *s)
{
    return s->url;
}

void sp_server_pause(sp_server *s, bool paused)
{
    if (s->paused == paused) {
        return;
    }
    s->paused = paused;
    for (sp_peer *p = s->peers; p != NULL; p = p->next) {
        sp_peer_watch(p);
    }
}

/* What waits may only wait for the end of the round: then it is written first. A message larger than the buffer goes to a
 * peer for whom nothing else waits. */
static bool has_room(sp_peer *p, size_t len, size_t max)
{
    if (p->out.len == 0 || (p->out.len < max && len <= max - p->out.len)) {
        return true;
    }
    sp_peer_write(p);
    return p->out.len == 0 || (p->out.len < max && len <= max - p->out.len);
}

/* What may wait for each peer, by what waited for all when the message before was published. */
static size_t share_of(const sp_server *s)
{
    const size_t share = SP_WAITING_MAX / (s->connections > 0 ? s->connections : 1);
    if (s->waiting <= SP_WAITING_MAX || share > s->options.peer_buffer) {
        return s->options.peer_buffer;
    }
    return share > SP_SHARE_MIN ? share : SP_SHARE_MIN;
}

loom_status sp_server_publish(sp_server *s, const loom_bytes *parts, size_t count)
{
    const size_t len = sp_parts_len(parts, count), max = share_of(s);
    size_t waiting = 0;
    for (sp_peer *p = s->peers; p != NULL; p = p->next) {
        if (p->state != SP_OPEN || p->broken != 0) {
            continue;
        }
        if (!has_room(p, len + SP_HEADER_MAX, max)) {
            s->stats.dropped++;
        } else if (p->broken == 0 && sp_peer_add(p, parts, count, len) == LOOM_ENOMEM) {
            return LOOM_ENOMEM;
        }
        waiting += p->out.len;
    }
    s->waiting = waiting;
    return LOOM_OK;
}

loom_status sp_server_reply(sp_server *s, const sp_reply_to *to, loom_bytes body)
{
    uint32_t slot = slot_of(to->peer_number);
    sp_peer *p = slot < s->slot_count ? s->slots[slot] : NULL;
    if (p == NULL || p->number != to->peer_number || p->broken != 0) {
        return LOOM_ENOTFOUND;
    }
    p->quiet_since_ms = uv_now(s->hub->loop);
    p->asked -= p->asked > 0;
    const loom_bytes parts[2] = {{to->backtrace, to->backtrace_len}, body};
    return sp_peer_add(p, parts, 2, to->backtrace_len + body.len);
}

void sp_server_flush(sp_server *s)
{
    unsigned left = SP_ROUND_PEERS;
    for (sp_peer *p = s->hub->busy; p != NULL && left > 0; p = p->next_busy, left--) {
        if (p->server == s) {
            sp_peer_write(p); /* which adds to the list at most whom it met here */
        }
    }
}

sp_stats sp_server_get_stats(const sp_server *s)
{
    return s->stats;
}
