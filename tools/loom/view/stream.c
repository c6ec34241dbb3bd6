/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/stream: what has changed, as server-sent events (HTML, "Server-sent events"), so that no page has to ask each second.
 *
 * One producer for all clients: a tick looks at the store, asks the broker what a client wants, and makes a frame of each kind
 * that is new. A client holds no queue: when it has taken a frame it gets the latest of each kind that it has not had, so one
 * that is slow misses what is outdated, and costs no memory. Of the bus it is told what is new since the frame before, and all
 * there is once it has missed one. When the answers of a tick are there, `look` says so. One that takes nothing is cut off. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "host/json_text.h"
#include "tools/loom/view/internal.h"

enum { TICK_MS = 1000, SELDOM_TICKS = 2, HEARTBEAT_MS = 15000, STUCK_MS = 10000, CLIENTS_MAX = 32 };

static const char *const names[VIEW_EVENT_KINDS] = {"broker", "traces", "agents", "capabilities", "topics", "flow", "stats", "look"};

static const uint32_t BUS_EVENTS = ((1u << VIEW_BUS_KINDS) - 1) << VIEW_EVENT_BUS;

/* ---- frames, shared by the clients that send them ---- */

struct view_frame {
    unsigned refs;
    size_t len;
    char text[];
};

static void frame_unref(view_frame *f)
{
    if (f != NULL && --f->refs == 0) {
        free(f);
    }
}

static view_frame *frame_make(const char *name, const char *data)
{
    const size_t size = strlen(name) + strlen(data) + 32;
    view_frame *f = malloc(sizeof *f + size);
    if (f != NULL) {
        f->refs = 1;
        f->len = (size_t)snprintf(f->text, size, "event: %s\ndata: %s\n\n", name, data);
    }
    return f;
}

/* ---- a client ---- */

typedef struct client {
    list_node node;
    view *view;
    http_stream *stream;
    view_frame *flying;
    uint64_t had[VIEW_EVENT_KINDS]; /* numbers of the frames */
    uint32_t wants;                 /* bits of kinds */
    uint64_t said_ms, stuck_ms;
    size_t unsent;
    bool pumping;
} client;

static view_frame *frame_of(const char *name, json_t *data)
{
    char *text = json_dumps(data, JSON_COMPACT);
    view_frame *f = text != NULL ? frame_make(name, text) : NULL;
    free(text);
    json_decref(data);
    return f;
}

/* What brings a client from the frame it has had to the latest. NULL: there is none, or no memory. */
static view_frame *frame_for(view_event *e, const char *name, uint64_t had)
{
    if (e->now == NULL || (e->frame != NULL && had + 1 == e->number)) {
        return e->frame;
    }
    if (e->whole == NULL) {
        e->whole = frame_of(name, json_pack("{s:I,s:O}", "version", (json_int_t)e->number, "whole", e->now));
    }
    return e->whole;
}

static view_frame *next_frame(client *c)
{
    for (size_t i = 0; i < VIEW_EVENT_KINDS; i++) {
        view_event *e = &c->view->events.latest[i];
        view_frame *f = (c->wants >> i & 1) != 0 && c->had[i] != e->number ? frame_for(e, names[i], c->had[i]) : NULL;
        if (f != NULL) {
            c->had[i] = e->number;
            return f;
        }
    }
    return NULL;
}

static void send_frame(client *c, view_frame *f)
{
    c->flying = f;
    f->refs++;
    c->said_ms = c->stuck_ms = uv_now(&c->view->loop);
    http_stream_send(c->stream, (const uint8_t *)f->text, f->len);
}

static void pump(client *c)
{
    view_frame *f;
    if (c->pumping) {
        return;
    }
    c->pumping = true;
    while (c->stream != NULL && c->flying == NULL && (f = next_frame(c)) != NULL) {
        send_frame(c, f);
    }
    c->pumping = false;
}

static void on_sent(void *user)
{
    client *c = user;
    frame_unref(c->flying);
    c->flying = NULL;
    pump(c);
}

static void on_closed(void *user)
{
    client *c = user;
    view_events *e = &c->view->events;
    list_remove(&e->clients, &c->node);
    e->client_count--;
    if (e->client_count == 0) {
        uv_timer_stop(&e->tick);
    }
    frame_unref(c->flying);
    free(c);
}

/* Cuts off who takes nothing; says a comment where there is silence. */
static void attend(client *c, uint64_t now_ms)
{
    view_events *e = &c->view->events;
    const size_t unsent = http_stream_unsent(c->stream);
    if (unsent > 0 && unsent < c->unsent) {
        c->stuck_ms = now_ms;
    }
    c->unsent = unsent;
    if (c->flying != NULL && now_ms - c->stuck_ms > STUCK_MS) {
        http_stream_close(c->stream, HTTP_CLOSE_NORMAL);
    } else if (c->flying == NULL && now_ms - c->said_ms >= HEARTBEAT_MS && e->heartbeat != NULL) {
        send_frame(c, e->heartbeat);
    }
}

/* ---- the producer ---- */

static void pump_all(view *v)
{
    for (list_node *at = v->events.clients.first, *next; at != NULL; at = next) {
        next = at->next;
        pump(list_item(at, client, node));
    }
}

static void put(view *v, view_event_kind kind, const char *data)
{
    view_event *e = &v->events.latest[kind];
    view_frame *f = frame_make(names[kind], data);
    if (f == NULL) {
        return; /* the next change makes one */
    }
    frame_unref(e->frame);
    e->frame = f;
    e->number++;
    pump_all(v);
}

static bool says(const view_event *e, const char *name, const char *data)
{
    const size_t head = strlen("event: \ndata: ") + strlen(name), len = strlen(data);
    return e->frame != NULL && e->frame->len == head + len + 2 && memcmp(e->frame->text + head, data, len) == 0;
}

static void put_changed(view *v, view_event_kind kind, const char *data)
{
    if (!says(&v->events.latest[kind], names[kind], data)) {
        put(v, kind, data);
    }
}

static void put_json(view *v, view_event_kind kind, const json_t *what)
{
    char *text = json_dumps(what, JSON_COMPACT);
    if (text != NULL) {
        put_changed(v, kind, text);
    }
    free(text);
}

/* Takes the answer over as what there is now, if anything in it is new. */
static void tell_bus(view *v, view_bus_kind kind, const json_t *answer)
{
    view_event *e = &v->events.latest[VIEW_EVENT_BUS + kind];
    json_t *now = view_news_keyed(kind, answer, e->now, (int64_t)clock_unix_ms());
    json_t *patch = now != NULL && e->now != NULL ? view_news_patch(e->now, now) : NULL;
    if (now == NULL || (patch != NULL && json_object_size(patch) == 0)) {
        json_decref(now);
        json_decref(patch);
        return;
    }
    frame_unref(e->frame);
    frame_unref(e->whole);
    json_decref(e->now);
    e->whole = NULL;
    e->now = now;
    e->number++;
    e->frame = patch == NULL ? NULL : frame_of(names[VIEW_EVENT_BUS + kind], json_pack("{s:I,s:I,s:o}", "version", (json_int_t)e->number, "since",
                                                                                      (json_int_t)e->number - 1, "patch", patch));
    pump_all(v);
}

void view_stream_bus(view *v, view_bus_kind kind, const json_t *answer, const char *why)
{
    char data[48];
    json_t *broker = answer != NULL ? json_pack("{s:b}", "answers", 1) : json_pack("{s:b,s:o}", "answers", 0, "detail", json_text(str_of(why)));
    put_json(v, VIEW_EVENT_BROKER, broker);
    json_decref(broker);
    if (answer != NULL) {
        tell_bus(v, kind, answer);
    }
    const uint32_t awaited = v->events.awaited;
    v->events.awaited &= ~(1u << kind);
    if (awaited != 0 && v->events.awaited == 0 && answer != NULL) {
        snprintf(data, sizeof data, "{\"at_unix_ms\":%llu}", (unsigned long long)clock_unix_ms());
        put(v, VIEW_EVENT_LOOK, data);
    }
}

static void look_at_store(view *v)
{
    uint64_t version;
    char data[48];
    if (store_version(v->watched, &version) == LOOM_OK) {
        snprintf(data, sizeof data, "{\"version\":%llu}", (unsigned long long)version);
        put_changed(v, VIEW_EVENT_TRACES, data);
    }
}

static uint32_t wanted(const view_events *e)
{
    uint32_t all = 0;
    for (list_node *at = e->clients.first; at != NULL; at = at->next) {
        all |= list_item(at, client, node)->wants;
    }
    return all;
}

static void look(view *v)
{
    const uint32_t wants = wanted(&v->events);
    if ((wants >> VIEW_EVENT_TRACES & 1) != 0) {
        look_at_store(v);
    }
    for (size_t i = 0; i < VIEW_BUS_KINDS; i++) {
        const bool seldom = (i == VIEW_BUS_AGENTS || i == VIEW_BUS_CAPABILITIES) && v->events.latest[VIEW_EVENT_BUS + i].now != NULL;
        if ((wants >> (VIEW_EVENT_BUS + i) & 1) != 0 && (!seldom || v->events.ticks % SELDOM_TICKS == 0)) {
            v->events.awaited |= 1u << i; /* before it is asked, since a failure may come at once */
            view_bus_watch(v, (view_bus_kind)i);
        }
    }
    v->events.ticks++;
}

static void on_tick(uv_timer_t *timer)
{
    view *v = timer->data;
    look(v);
    for (list_node *at = v->events.clients.first, *next; at != NULL; at = next) {
        next = at->next;
        attend(list_item(at, client, node), uv_now(&v->loop));
    }
}

/* ---- requests ---- */

static const char *read_wish(void *user, const char *name, const char *value)
{
    uint32_t *wants = user;
    if (strcmp(name, "events") != 0) {
        return "is not known here; there is events=traces,flow,agents and so on";
    }
    if (*wants != 0) {
        return "is there twice";
    }
    loom_str rest = str_of(value), item;
    while (str_next_item(&rest, ',', &item)) {
        size_t kind = 0;
        while (kind < VIEW_EVENT_KINDS && !str_is(item, names[kind])) {
            kind++;
        }
        if (kind == VIEW_EVENT_KINDS) {
            return "takes some of broker, traces, agents, capabilities, topics, flow, stats and look, with commas between them";
        }
        *wants |= 1u << kind;
    }
    *wants |= (*wants & BUS_EVENTS) != 0 ? 1u << VIEW_EVENT_LOOK | 1u << VIEW_EVENT_BROKER : 0;
    return *wants == 0 ? "names nothing" : NULL;
}

static void forget(view_events *all)
{
    for (size_t i = 0; i < VIEW_EVENT_KINDS; i++) {
        view_event *e = &all->latest[i];
        frame_unref(e->frame);
        frame_unref(e->whole);
        json_decref(e->now);
        e->frame = e->whole = NULL;
        e->now = NULL;
    }
    all->awaited = 0;
}

/* Old frames say what was when the last client left. */
static void wake(view *v)
{
    forget(&v->events);
    v->events.ticks = 0;
    uv_timer_start(&v->events.tick, on_tick, TICK_MS, TICK_MS);
}

static void begin(view *v, http_request *r, uint32_t wants)
{
    static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
    client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        view_fail(v, r, 503, "out of memory");
        return;
    }
    c->view = v;
    c->wants = wants;
    c->said_ms = c->stuck_ms = uv_now(&v->loop);
    c->stream = view_answer_stream(r, "text/event-stream", &events, c);
    if (c->stream == NULL) {
        free(c);
        return;
    }
    list_append(&v->events.clients, &c->node);
    if (v->events.client_count++ == 0) {
        wake(v);
    }
    if (v->events.heartbeat != NULL) { /* the client knows at once that it is connected */
        send_frame(c, v->events.heartbeat);
    }
    look(v);
    pump(c);
}

void view_stream(void *user, http_request *r)
{
    view *v = user;
    char why[VIEW_PROBLEM_SIZE];
    uint32_t wants = 0;
    if (!view_parameters(http_request_query(r), read_wish, &wants, why)) {
        view_fail(v, r, 400, why);
    } else if (v->events.client_count == CLIENTS_MAX) {
        view_fail(v, r, 503, "too many pages are open: close one");
    } else {
        begin(v, r, wants != 0 ? wants : (1u << VIEW_EVENT_KINDS) - 1);
    }
}

/* ---- its life ---- */

void view_stream_open(view *v)
{
    uv_timer_init(&v->loop, &v->events.tick);
    v->events.tick.data = v;
    v->events.heartbeat = malloc(sizeof *v->events.heartbeat + 8);
    if (v->events.heartbeat != NULL) {
        v->events.heartbeat->refs = 1;
        v->events.heartbeat->len = (size_t)snprintf(v->events.heartbeat->text, 8, ":\n\n");
    }
}

void view_stream_close(view *v)
{
    uv_close((uv_handle_t *)&v->events.tick, NULL);
}

void view_stream_fini(view *v)
{
    forget(&v->events);
    frame_unref(v->events.heartbeat);
}
