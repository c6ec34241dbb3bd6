/* SPDX-License-Identifier: Apache-2.0 */
/* What nng programs push into the open bus.
 *
 * A few bytes may be much work: an event that thousands of subscriptions match. A program whose events have cost a turn is read
 * no further, and what is left of its message waits here for the next one, in a later round. */
#include <stdlib.h>
#include <string.h>

#include "broker/endpoints/internal.h"
#include "envelope/reserved.h"

typedef struct open_peer {
    list_node node;     /* of all of them */
    list_node turn;     /* of those that wait */
    sp_peer *peer;      /* NULL: it has left, and some of what it said waits */
    work_turn work;
    bool waits;
    frame_writer rest;  /* of its message */
    size_t at;
} open_peer;

/* The envelope in its fixed form; rewritten when another language sent it otherwise. */
static loom_status settle_hop(bus_server *s, envelope_view *view, const envelope_limits *limits, const char **reason)
{
    bool invalid;
    if (view->hop_in_place) {
        return LOOM_OK;
    }
    if (s->open.scratch == NULL && (s->open.scratch = malloc(LOOM_ENVELOPE_MAX + ENVELOPE_PREFIX_SIZE)) == NULL) {
        *reason = loom_status_text(LOOM_ENOMEM);
        return LOOM_ENOMEM;
    }
    uint32_t len = envelope_normalise(s->open.scratch, view, s->options.ttl, &invalid);
    return envelope_scan(view, (loom_bytes){s->open.scratch, len}, limits, reason);
}

/* The form that everybody behind relies on; for an agent's messages its bridge sees to that. */
static loom_status settle_form(bus_server *s, envelope_view *view, uint8_t **wire, const envelope_limits *limits,
                               const char **reason)
{
    loom_status st = settle_hop(s, view, limits, reason);
    if (st != LOOM_OK) {
        return st;
    }
    if (view->data == s->open.scratch) {
        *wire = s->open.scratch;
    }
    if (!envelope_context_needs_look(view)) {
        return LOOM_OK;
    }
    uint32_t len = envelope_mend_context(*wire, view);
    return len == view->len ? LOOM_OK : envelope_scan(view, (loom_bytes){*wire, len}, limits, reason);
}

static void refuse(bus_server *s, size_t at, const char *reason)
{
    s->stats.open_malformed++;
    bus_log_limited(s, &s->malformed_log, LOG_WARN, "refused a message on the open bus at=%zu reason=%s", at, reason);
}

/* What the broker itself says must not be said by others. */
static bool denied(bus_server *s, const envelope_view *view)
{
    if (!broker_name_reserved(envelope_view_str(view, ENV_TOPIC))) {
        return false;
    }
    s->stats.open_denied++;
    bus_log_limited(s, &s->denied_log, LOG_WARN,
                    "refused a message on the open bus reason=%s", "topics below system. are the broker's");
    return true;
}

static void publish_one(bus_server *s, const envelope_view *view, uint8_t *wire, size_t at)
{
    eventbus_result result;
    if (denied(s, view)) {
        return;
    }
    if (eventbus_publish(s->cores.events, s->open.publisher, view, wire, &result) == LOOM_EINVAL) {
        refuse(s, at, "topic is not valid");
    } else {
        s->stats.open_received++;
    }
}

/* ---- turns ---- */

/* Publishes what is in data until the turn is over. Returns how much that was. */
static size_t take(bus_server *s, open_peer *p, uint8_t *data, size_t len)
{
    envelope_limits limits = {.payload_max = s->options.payload_max, .any_context = true};
    size_t at = 0;
    while (at < len && work_turn_is_left(&p->work, s)) {
        const char *reason = "";
        envelope_view view;
        uint8_t *wire = data + at;
        loom_status st = envelope_scan(&view, (loom_bytes){data + at, len - at}, &limits, &reason);
        size_t next = at + (st == LOOM_OK ? view.len : 0);
        if (st != LOOM_OK || settle_form(s, &view, &wire, &limits, &reason) != LOOM_OK) {
            refuse(s, at, reason); /* where the next envelope would begin is not known any more */
            return len;
        }
        const uint64_t before = work_done(s);
        publish_one(s, &view, wire, at);
        p->work.spent += work_since(s, before);
        at = next;
    }
    return at;
}

static void free_peer(open_peer *p)
{
    frame_writer_fini(&p->rest);
    free(p);
}

static void forget(bus_server *s, open_peer *p)
{
    list_remove(&s->open.peers, &p->node);
    free_peer(p);
}

static void wait_for_turn(bus_server *s, open_peer *p)
{
    p->waits = true;
    list_append(&s->open.waiting, &p->turn);
    sp_peer_pause(p->peer, true);
}

static void on_message(void *user, sp_peer *peer, uint8_t *data, size_t len, const sp_reply_to *reply_to)
{
    bus_server *s = user;
    open_peer *p = sp_peer_user(peer);
    (void)reply_to;
    if (p == NULL) {
        return; /* there was no memory for it; it is about to be closed */
    }
    bus_woke(s);
    if (len == 0) {
        refuse(s, 0, "empty message");
    }
    size_t done = take(s, p, data, len);
    while (done < len && bus_put_raw(&p->rest, (loom_bytes){data + done, len - done}) != LOOM_OK) {
        p->work.spent = 0; /* it cannot wait */
        done += take(s, p, data + done, len - done);
    }
    if (!work_turn_is_left(&p->work, s)) {
        wait_for_turn(s, p);
    }
}

/* What was on its way is still taken. */
void open_in_look(bus_server *s)
{
    if (s->open.pull != NULL) {
        sp_server_pause(s->open.pull, s->open.pressing || s->takes_no_publishes);
    }
}

bool open_in_is_due(const bus_server *s)
{
    return s->open.waiting.first != NULL && !s->open.pressing && !s->takes_no_publishes;
}

void open_in_take_turn(bus_server *s)
{
    if (!open_in_is_due(s)) {
        return;
    }
    open_peer *p = list_item(list_take_first(&s->open.waiting), open_peer, turn);
    p->at += take(s, p, p->rest.data + p->at, p->rest.len - p->at);
    if (p->at < p->rest.len) {
        list_append(&s->open.waiting, &p->turn);
        return;
    }
    frame_writer_fini(&p->rest);
    p->at = 0;
    p->waits = false;
    if (p->peer == NULL) {
        forget(s, p);
    } else {
        sp_peer_pause(p->peer, false);
    }
}

uint64_t open_in_waiting(const bus_server *s)
{
    uint64_t count = 0;
    for (list_node *node = s->open.waiting.first; node != NULL; node = node->next) {
        const open_peer *p = list_item(node, open_peer, turn);
        envelope_view view;
        const char *reason;
        for (size_t at = p->at; at < p->rest.len; at += view.len, count++) {
            if (envelope_scan(&view, (loom_bytes){p->rest.data + at, p->rest.len - at}, NULL, &reason) != LOOM_OK) {
                break;
            }
        }
    }
    return count;
}

/* ---- life ---- */

static void on_opened(void *user, sp_peer *peer)
{
    bus_server *s = user;
    open_peer *p = calloc(1, sizeof *p);
    if (p == NULL) {
        s->stats.open_lost_memory++;
        sp_peer_close(peer);
        return;
    }
    p->peer = peer;
    list_append(&s->open.peers, &p->node);
    sp_peer_set_user(peer, p);
}

static void on_closed(void *user, sp_peer *peer, loom_status status, const char *why)
{
    open_peer *p = sp_peer_user(peer);
    (void)status;
    (void)why;
    if (p != NULL && p->waits) {
        p->peer = NULL;
    } else if (p != NULL) {
        forget(user, p);
    }
}

static void on_pressure(void *user, bool on)
{
    bus_server *s = user;
    s->open.pressing = on;
    open_in_look(s);
}

loom_status open_in_open(bus_server *s)
{
    static const sp_handlers handlers = {.opened = on_opened, .message = on_message, .closed = on_closed};
    static const eventbus_publisher_handlers publisher = {on_pressure};
    const sp_options options = {.protocol = SP_PULL, .handlers = &handlers, .message_max = BUS_MESSAGE_MAX};
    loom_status st = bus_listen(s, &s->open.pull, s->options.bus_pull, options);
    if (st == LOOM_OK && s->open.pull != NULL) { /* it may be pressed from the start */
        st = eventbus_publisher_open(s->cores.events, &s->open.publisher, &publisher, s, (loom_str){NULL, 0});
    }
    return st;
}

void open_in_close(bus_server *s)
{
    eventbus_publisher_close(s->open.publisher);
    bus_unlisten(s, &s->open.pull);
    for (list_node *node; (node = list_take_first(&s->open.peers)) != NULL;) { /* nobody tells of them any more */
        free_peer(list_item(node, open_peer, node));
    }
    free(s->open.scratch);
}
