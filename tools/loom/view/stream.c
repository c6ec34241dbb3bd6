/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/stream: what has changed, as server-sent events (HTML, "Server-sent events"), so that no page has to ask each second.
 *
 * One producer for all clients: a tick looks at the store, asks the broker what a client wants, and makes a frame of each kind
 * that is new. A client holds no queue: when it has taken a frame it gets the latest of each kind that it has not had, so one
 * that is slow misses what is outdated, and costs no memory. One that takes nothing is cut off. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/view/internal.h"

enum { TICK_MS = 1000, AGENTS_TICKS = 2, HEARTBEAT_MS = 15000, STUCK_MS = 10000, CLIENTS_MAX = 32 };

static const char *const names[VIEW_EVENT_KINDS] = {"broker", "traces", "flow", "agents"};

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

static view_frame *next_frame(client *c)
{
    for (size_t i = 0; i < VIEW_EVENT_KINDS; i++) {
        view_event *e = &c->view->events.latest[i];
        if ((c->wants >> i & 1) != 0 && e->frame != NULL && c->had[i] != e->number) {
            c->had[i] = e->number;
            return e->frame;
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
    for (list_node *at = v->events.clients.first, *next; at != NULL; at = next) {
        next = at->next;
        pump(list_item(at, client, node));
    }
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

/* What tells that somebody came, went, or changed; not when each was last heard. */
static void tell_agents(view *v, const json_t *answer)
{
    json_t *copy = json_deep_copy(json_object_get(answer, "agents")), *agent;
    size_t i;
    json_array_foreach(copy, i, agent) {
        json_object_del(agent, "heard_ms_ago");
    }
    char *text = copy != NULL ? json_dumps(copy, JSON_COMPACT) : NULL, data[64];
    if (text != NULL && (v->events.agents == NULL || strcmp(text, v->events.agents) != 0)) {
        free(v->events.agents);
        v->events.agents = text;
        text = NULL;
        snprintf(data, sizeof data, "{\"agents\":%zu}", json_array_size(copy));
        put(v, VIEW_EVENT_AGENTS, data);
    }
    free(text);
    json_decref(copy);
}

/* Counts that stand still are told once more, so that a rate made of them becomes 0. */
static void tell_flow(view *v, const json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    const bool same = text != NULL && says(&v->events.latest[VIEW_EVENT_FLOW], names[VIEW_EVENT_FLOW], text);
    if (text != NULL && (!same || v->events.flow_changed)) {
        put(v, VIEW_EVENT_FLOW, text);
    }
    v->events.flow_changed = !same;
    free(text);
}

void view_stream_bus(view *v, view_bus_kind kind, const json_t *answer, const char *why)
{
    json_t *broker = answer != NULL ? json_pack("{s:b}", "answers", 1) : json_pack("{s:b,s:s}", "answers", 0, "detail", why);
    put_json(v, VIEW_EVENT_BROKER, broker);
    json_decref(broker);
    if (answer != NULL && kind == VIEW_BUS_FLOW) {
        tell_flow(v, answer);
    } else if (answer != NULL && kind == VIEW_BUS_AGENTS) {
        tell_agents(v, answer);
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
    if ((wants >> VIEW_EVENT_FLOW & 1) != 0) {
        view_bus_watch(v, VIEW_BUS_FLOW);
    }
    if ((wants >> VIEW_EVENT_AGENTS & 1) != 0 && v->events.ticks % AGENTS_TICKS == 0) {
        view_bus_watch(v, VIEW_BUS_AGENTS);
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
        return "is not known here; there is events=traces,flow,agents";
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
            return "takes some of broker, traces, flow and agents, with commas between them";
        }
        *wants |= 1u << kind;
    }
    return *wants == 0 ? "names nothing" : NULL;
}

/* Old frames say what was when the last client left. */
static void wake(view *v)
{
    for (size_t i = 0; i < VIEW_EVENT_KINDS; i++) {
        frame_unref(v->events.latest[i].frame);
        v->events.latest[i].frame = NULL;
    }
    free(v->events.agents);
    v->events.agents = NULL;
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
    for (size_t i = 0; i < VIEW_EVENT_KINDS; i++) {
        frame_unref(v->events.latest[i].frame);
    }
    frame_unref(v->events.heartbeat);
    free(v->events.agents);
}
