/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/events/{filter}: events as they come. Each client has a port of its own, and grants the bus as much as it has
 * taken, so what it is too slow for is queued, dropped and counted as that of any subscriber. */
#include <loom/topic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/gateway/internal.h"
#include "envelope/id.h"
#include "trace/messaging/message_span.h"

enum { SUBSCRIPTION = 1, SUBSCRIBE_REQUEST = 1, TYPES_SIZE = FRAME_TYPES_MAX * (LOOM_TYPE_MAX + 1) };

/* A listening client. Until the bus has confirmed the subscription, `wait` is there and the stream is not. */
typedef struct listener {
    sse s;                 /* first */
    gateway_job confirmed;
    list_node node;
    pending *wait;
    bus_port *port;
    exchange x;            /* once the stream has begun: its span */
    char agent[GATEWAY_AGENT_SIZE];
    bool resumes;          /* the client names the last event it has seen */
    uint64_t delivered, delivered_bytes; /* put into the stream */
    uint64_t granted, granted_bytes;
} listener;

typedef struct waiting_listener {
    pending p; /* first */
    listener *l;
} waiting_listener;

/* ---- life ---- */

static void detach(listener *l, loom_status why)
{
    const bus_ops *ops = l->s.gateway->options.bus->ops;
    if (l->port != NULL) {
        bus_port *port = l->port;
        l->port = NULL;
        ops->detach(l->s.gateway->options.bus, port, why);
    }
}

static void free_listener(listener *l)
{
    detach(l, LOOM_OK);
    gateway_not_soon(l->s.gateway, &l->s.job);
    list_remove(&l->s.gateway->streams, &l->node);
    l->s.gateway->stats.streams--;
    free(l);
}

static void on_stream_closed(sse *s)
{
    listener *l = (listener *)s;
    loom_span_set_int(l->x.span, "messaging.batch.message_count", (int64_t)l->delivered);
    exchange_end(&l->x, 0, NULL);
    free_listener(l);
}

static void grant(listener *l)
{
    gateway *g = l->s.gateway;
    const bool enough = l->granted >= l->delivered + GATEWAY_WINDOW_MESSAGES / 2 &&
                        l->granted_bytes >= l->delivered_bytes + GATEWAY_WINDOW_BYTES / 2;
    if (l->port == NULL || enough) {
        return;
    }
    l->granted = l->delivered + GATEWAY_WINDOW_MESSAGES;
    l->granted_bytes = l->delivered_bytes + GATEWAY_WINDOW_BYTES;
    g->options.bus->ops->grant(g->options.bus, l->port, l->granted, l->granted_bytes);
}

static void on_taken(sse *s)
{
    listener *l = (listener *)s;
    if (s->out.bytes.len > 0) { /* what has come meanwhile is to leave first */
        return;
    }
    bus_sent(s->gateway->options.bus, l->port, l->delivered);
    grant(l);
}

/* ---- what the bus brings ---- */

static void deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    listener *l = user;
    gateway *g = l->s.gateway;
    message_pass pass;
    (void)subscription;
    l->delivered++;
    l->delivered_bytes += view->len;
    message_pass_begin(&pass, g->options.bridge_tracer, HOP_BRIDGE_FORWARD, view, str_of(l->agent), !g->options.bus->in_process,
                       NULL);
    loom_trace_context ctx;
    if (!pass.has_ctx) {
        (void)envelope_view_context(view, &ctx);
    }
    char id[LOOM_UUID_TEXT_SIZE];
    text_buffer event = {0};
    loom_uuid_to_text(id, envelope_view_bytes(view, ENV_ID).data);
    text_put_event(&event, view, pass.has_ctx ? &pass.ctx : &ctx);
    l->s.out.failed = l->s.out.failed || event.failed;
    sse_put(&l->s, id, NULL, text_buffer_str(&event).data, event.bytes.len);
    text_fini(&event);
    message_pass_end(&pass, NULL);
    g->stats.streamed++;
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    (void)user;
    (void)f;
    (void)view;
}

static void on_frame(void *user, const frame *f)
{
    listener *l = user;
    const loom_status st = (loom_status)f->u.outcome.status;
    if (f->type == FRAME_ACK && l->wait != NULL) {
        if (st == LOOM_OK) {
            gateway_soon(l->s.gateway, &l->confirmed);
        } else {
            pending_done(l->wait, status_of_refusal(st), str_of(code_of_refusal(st)), f->u.outcome.text, (loom_bytes){0});
        }
    } else if (f->type == FRAME_ERROR && l->wait != NULL) {
        pending_done(l->wait, 503, str_of(code_of_refusal(st)), f->u.outcome.text, (loom_bytes){0});
    } else if (f->type == FRAME_ERROR) {
        sse_end(&l->s);
    }
}

static void ended(void *user, loom_status why)
{
    listener *l = user;
    if (why != LOOM_EREPLACED) {
        return;
    }
    detach(l, why);
    if (l->wait != NULL) {
        pending_done(l->wait, 503, str_of("replaced"), str_of("another subscriber of the same name took its place"), (loom_bytes){0});
    } else {
        sse_end(&l->s);
    }
}

static const bus_handlers handlers = {.deliver = deliver, .call = on_call, .frame = on_frame, .ended = ended, .confirms = true};

/* ---- the request ---- */

static void say_gap(listener *l)
{
    static const char text[] = "{\"detail\":\"events are not stored: those since Last-Event-ID are not sent again\"}";
    if (l->resumes) {
        sse_put(&l->s, NULL, "gap", text, sizeof text - 1);
    }
}

/* In the round after the ack: the answer begins. */
static void begin(gateway_job *job)
{
    listener *l = (listener *)(void *)((char *)job - offsetof(listener, confirmed));
    pending *p = l->wait;
    if (p == NULL || p->status != 0 || p->gone) {
        return; /* its job ends it */
    }
    l->wait = NULL;
    l->x = p->x;
    p->x.request = NULL;
    pending_free(p);
    if (!sse_begin(&l->s, &l->x)) {
        exchange_end(&l->x, 499, NULL);
        free_listener(l);
        return;
    }
    text_puts(&l->s.out, "retry: 1000\n\n");
    gateway_soon(l->s.gateway, &l->s.job);
    say_gap(l);
    grant(l);
}

/* There is no stream: the bus has refused, or was silent, or the client has left. */
static void give_up(gateway_job *job)
{
    pending *p = (pending *)job;
    listener *l = ((waiting_listener *)p)->l;
    gateway_not_soon(p->x.gateway, &l->confirmed);
    free_listener(l);
    if (p->gone) {
        exchange_left(&p->x);
    } else {
        exchange_fail(&p->x, p->status, p->code, "%s", p->text);
    }
    pending_free(p);
}

static void late(pending *p)
{
    pending_done(p, 503, str_of("no_broker"), str_of("the broker does not confirm the subscription"), (loom_bytes){0});
}

static bool read_qos(exchange *x, const char *name, uint64_t *qos)
{
    static const char *const names[] = {[LOOM_QOS_BATCHED] = "batched", [LOOM_QOS_REALTIME] = "realtime",
                                        [LOOM_QOS_BACKGROUND] = "background"};
    *qos = LOOM_QOS_REALTIME; /* a page that is left open in some tab should hold nobody up */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *qos = i;
            return true;
        }
    }
    if (name[0] != '\0') {
        exchange_fail(x, 400, "invalid_parameter", "\"qos\" is realtime, batched or background, and not \"%.64s\"", name);
    }
    return name[0] == '\0';
}

static bool read_types(exchange *x, const char *list, frame_subscribe *f)
{
    loom_str rest = list[0] != '\0' ? str_of(list) : (loom_str){0}, item;
    while (str_next_item(&rest, ',', &item)) {
        if (f->type_count == FRAME_TYPES_MAX || item.len == 0 || item.len > LOOM_TYPE_MAX) {
            exchange_fail(x, 400, "invalid_parameter", "\"type\" is up to %d event types of 1 to %d bytes with commas between them",
                          FRAME_TYPES_MAX, (int)LOOM_TYPE_MAX);
            return false;
        }
        f->types[f->type_count++] = item;
    }
    return true;
}

static void read_last_id(listener *l, const http_request *r)
{
    const loom_str *last = http_request_field(r, "Last-Event-ID");
    l->resumes = last != NULL && last->len > 0;
}

static listener *open_listener(gateway *g, const http_request *r, loom_status *st)
{
    listener *l = calloc(1, sizeof *l);
    *st = LOOM_ENOMEM;
    if (l == NULL) {
        return NULL;
    }
    sse_init(&l->s, g, on_taken, on_stream_closed);
    l->confirmed.run = begin;
    read_last_id(l, r);
    snprintf(l->agent, sizeof l->agent, "%.100s-%llu", g->agent, (unsigned long long)++g->last_stream);
    const bus_agent about = {.id = str_of(l->agent), .software = str_of(g->options.software),
                             .heartbeat_ms = g->options.heartbeat_ms, .peer = http_request_peer(r)};
    *st = g->options.bus->ops->attach(g->options.bus, &l->port, &about, &handlers, l);
    if (*st != LOOM_OK) {
        free(l);
        return NULL;
    }
    list_append(&g->streams, &l->node);
    g->stats.streams++;
    return l;
}

void events_get(exchange *x)
{
    char filter[LOOM_TOPIC_MAX + 1], types[TYPES_SIZE] = "", qos[32] = "";
    const parameter_spec specs[] = {{.name = "type", .text = types, .size = sizeof types},
                                    {.name = "qos", .text = qos, .size = sizeof qos}};
    frame f = {.type = FRAME_SUBSCRIBE, .u.subscribe = {.request = SUBSCRIBE_REQUEST, .subscription = SUBSCRIPTION}};
    gateway *g = x->gateway;
    if (!path_name(x, filter, "filter", loom_filter_check) || !parameters_read(x, specs, 2) ||
        !read_qos(x, qos, &f.u.subscribe.qos) || !read_types(x, types, &f.u.subscribe)) {
        return;
    }
    if (event_stream_wish(x->request) == STREAM_REFUSED) {
        exchange_fail(x, 406, "not_acceptable", "events come as text/event-stream, which Accept does not name");
        return;
    }
    if (str_is(http_request_method(x->request), "HEAD")) {
        exchange_answer(x, 200, &(exchange_body){.type = "text/event-stream"});
        return;
    }
    loom_status st;
    listener *l = open_listener(g, x->request, &st);
    if (l == NULL) {
        exchange_fail(x, 503, code_of_refusal(st), "the bus takes no more subscribers: %s", loom_status_text(st));
        return;
    }
    waiting_listener *w = pending_create(x, sizeof *w, &g->waiting, GATEWAY_ACK_MS);
    if (w == NULL) {
        free_listener(l);
        return;
    }
    w->p.job.run = give_up;
    w->p.late = late;
    w->l = l;
    l->wait = &w->p;
    f.u.subscribe.filter = str_of(filter);
    g->options.bus->ops->frame(g->options.bus, l->port, &f);
}

/* ---- now and then ---- */

void events_tick(gateway *g, uint64_t now_ms, bool heartbeat)
{
    for (list_node *node = g->streams.first, *next; node != NULL; node = next) {
        listener *l = list_item(node, listener, node);
        next = node->next;
        if (heartbeat && l->port != NULL) {
            g->options.bus->ops->frame(g->options.bus, l->port, &(frame){.type = FRAME_PING});
        }
        sse_tick(&l->s, now_ms);
    }
}

void events_end(gateway *g)
{
    for (list_node *node = g->streams.first; node != NULL; node = node->next) {
        listener *l = list_item(node, listener, node);
        detach(l, LOOM_OK);
        sse_end(&l->s);
    }
}
