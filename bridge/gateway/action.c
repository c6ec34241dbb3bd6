/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/actions/{capability}: invokes it. The outcome is the status, the result the body; a client that accepts
 * text/event-stream gets progress and chunks as they come, and the result as the last event. One that leaves cancels. */
#include <loom/topic.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bridge/gateway/internal.h"
#include "envelope/encode.h"
#include "envelope/id.h"
#include "trace/messaging/call_span.h"

enum {
    WINDOW_CHUNKS = 64,
    WINDOW_BYTES = 1024 * 1024,
    ASK_MS = 3000,   /* that the broker may take to say what it knows */
    GRACE_MS = 1000, /* the broker's own deadline comes first */
    DIGEST_SIZE = crypto_generichash_BYTES_MIN
};

typedef struct call {
    pending p;         /* first */
    sse s;
    loom_span *span;   /* action.invoke */
    bool streams;      /* the client takes parts */
    void (*take)(exchange *x, loom_bytes result); /* answers with it; NULL: it is the answer */
    bool due, begun;   /* the stream of them is to begin, has begun */
    uint64_t outcome;
    uint64_t chunks, chunk_bytes, granted;
    size_t id_len;
    uint8_t id[FRAME_CALL_ID_MAX];
    uint8_t digest[DIGEST_SIZE]; /* of what is asked for, with a key */
} call;

typedef struct call_ask {
    char capability[LOOM_TOPIC_MAX + 1], content_type[LOOM_CONTENT_TYPE_MAX + 1], version[FRAME_VERSION_MAX + 1];
    uint32_t deadline_ms, idle_ms;
    loom_bytes payload;
    loom_str key; /* Idempotency-Key */
    uint8_t digest[DIGEST_SIZE];
} call_ask;

static loom_bytes id_of(const call *c)
{
    return (loom_bytes){c->id, c->id_len};
}

/* ---- outcomes ---- */

static uint16_t status_of(uint64_t outcome, loom_str code)
{
    static const struct {
        const char *code;
        uint16_t status;
    } codes[] = {{"provider_busy", 429}, {"too_many_calls", 429}, {"call_id_reused", 422}, {"result_too_large", 502},
                 {"report_too_large", 502}, {"bus_full", 429}, {"bus_lost", 503}, {"out_of_memory", 503}, {"system_busy", 503}};
    for (size_t i = 0; outcome != FRAME_CALL_OK && i < sizeof codes / sizeof *codes; i++) {
        if (str_is(code, codes[i].code)) {
            return codes[i].status;
        }
    }
    switch (outcome) {
    case FRAME_CALL_OK: return 200;
    case FRAME_CALL_TIMEOUT: return 504;
    case FRAME_CALL_NO_RESPONDERS: return 404;
    case FRAME_CALL_DENIED: return 403;
    case FRAME_CALL_CANCELLED: return 499;
    case FRAME_CALL_TOO_LARGE: return 413;
    default: return 502;
    }
}

static void end_span(call *c, uint64_t outcome, loom_str code, loom_str text)
{
    call_span_outcome(c->span, outcome, code, text);
    loom_span_end(c->span);
    c->span = NULL;
}

/* Unless somebody else waits for the same call. Not from a handler of the bus. */
static void cancel(call *c, const char *why)
{
    gateway *g = c->p.x.gateway;
    pending_unkey(&c->p);
    if (g->port != NULL && pending_find(&g->by_call, id_of(c)) == NULL) {
        g->options.bus->ops->frame(g->options.bus, g->port, &(frame){.type = FRAME_CANCEL, .u.cancel = {id_of(c), str_of(why)}});
    }
    end_span(c, FRAME_CALL_CANCELLED, (loom_str){0}, str_of(why));
}

static void late(pending *p)
{
    call *c = (call *)p;
    cancel(c, "the deadline has passed");
    pending_done(p, 504, str_of("deadline_exceeded"), str_of("the deadline has passed"), (loom_bytes){0});
}

/* ---- the answer ---- */

static void free_call(call *c)
{
    gateway_not_soon(c->p.x.gateway, &c->s.job);
    pending_free(&c->p);
}

static void on_stream_closed(sse *s)
{
    call *c = (call *)(void *)((char *)s - offsetof(call, s));
    if (c->p.status == 0) {
        c->p.x.gateway->stats.left++;
        cancel(c, "the client has left");
    }
    loom_span_end(c->span);
    exchange_end(&c->p.x, 0, c->p.status >= 500 ? c->p.code : NULL);
    free_call(c);
}

static void grant(call *c)
{
    gateway *g = c->p.x.gateway;
    if (g->port != NULL && c->p.status == 0 && c->granted < c->chunks + WINDOW_CHUNKS / 2 + 1) {
        c->granted = c->chunks + WINDOW_CHUNKS;
        g->options.bus->ops->frame(g->options.bus, g->port,
                                   &(frame){.type = FRAME_CALL_CREDIT,
                                            .u.call_credit = {id_of(c), c->granted, c->chunk_bytes + WINDOW_BYTES}});
    }
}

static void on_taken(sse *s)
{
    if (s->out.bytes.len == 0) {
        grant((call *)(void *)((char *)s - offsetof(call, s)));
    }
}

/* False: the client has left, and the call is over. */
static bool begin_stream(call *c)
{
    c->begun = true;
    if (sse_begin(&c->s, &c->p.x)) {
        gateway_soon(c->p.x.gateway, &c->s.job);
        return true;
    }
    if (c->p.status == 0) {
        cancel(c, "the client has left");
    }
    loom_span_end(c->span);
    exchange_end(&c->p.x, 499, NULL);
    text_fini(&c->s.out);
    free_call(c);
    return false;
}

static void put_result(call *c)
{
    if (c->p.status == 200) {
        text_buffer b = {0};
        text_puts(&b, "{");
        text_put_payload(&b, (loom_bytes){c->p.payload, c->p.payload_len}, (loom_str){0});
        text_puts(&b, "}");
        c->s.out.failed = c->s.out.failed || b.failed;
        sse_put(&c->s, NULL, "result", text_buffer_str(&b).data, b.bytes.len);
        text_fini(&b);
    } else {
        char json[PROBLEM_JSON_SIZE];
        const size_t len = problem_json(json, c->p.status, c->p.code, c->p.text);
        sse_put(&c->s, NULL, "error", json, len);
    }
    sse_end(&c->s);
}

static void answer(call *c)
{
    const loom_bytes payload = {c->p.payload, c->p.payload_len};
    if (c->p.status == 200 && c->take != NULL) {
        c->take(&c->p.x, payload);
    } else if (c->p.status == 200) {
        exchange_answer(&c->p.x, 200, &(exchange_body){.type = payload_type(payload), .bytes = payload});
    } else {
        exchange_fail(&c->p.x, c->p.status, c->p.code, "%s", c->p.text);
    }
    free_call(c);
}

static void run(gateway_job *job)
{
    call *c = (call *)job;
    if (c->p.gone && !c->begun) {
        if (c->p.status == 0) {
            cancel(c, "the client has left");
        }
        loom_span_end(c->span);
        exchange_left(&c->p.x);
        text_fini(&c->s.out);
        free_call(c);
        return;
    }
    const bool wanted = c->due || (c->streams && c->p.status == 200);
    if (wanted && !c->begun && !begin_stream(c)) {
        return;
    }
    if (c->p.status != 0 && c->begun) {
        put_result(c);
    } else if (c->p.status != 0) {
        answer(c);
    }
}

static void idle(pending *p, uint64_t now_ms)
{
    call *c = (call *)p;
    if (c->begun) {
        sse_tick(&c->s, now_ms);
    } else if (c->streams && !c->due && p->status == 0 && now_ms - c->s.said_ms > GATEWAY_KEEPALIVE_MS) {
        c->due = true; /* whoever is between may think that nothing lives */
        gateway_soon(p->x.gateway, &p->job);
    }
}

/* ---- what the bus brings ---- */

static void put_part(call *c, const frame_report *f)
{
    text_buffer b = {0};
    char id[24];
    if (f->kind == FRAME_CHUNK) {
        c->chunks++;
        c->chunk_bytes += f->payload.len;
    } else if (c->s.out.bytes.len > WINDOW_BYTES) {
        return; /* nobody granted credit for news: a client that is slow goes without */
    }
    snprintf(id, sizeof id, "%llu", (unsigned long long)f->number);
    text_printf(&b, "{\"number\":%s,", id);
    text_put_payload(&b, f->payload, (loom_str){0});
    text_puts(&b, "}");
    c->s.out.failed = c->s.out.failed || b.failed;
    sse_put(&c->s, NULL, f->kind == FRAME_CHUNK ? "chunk" : "progress", text_buffer_str(&b).data, b.bytes.len);
    text_fini(&b);
    if (!c->begun && !c->due) {
        c->due = true;
        gateway_soon(c->p.x.gateway, &c->p.job);
    }
}

void action_frame(gateway *g, const frame *f)
{
    call *c;
    if (f->type == FRAME_REPORT) {
        if ((c = (call *)pending_find(&g->by_call, f->u.report.call_id)) != NULL && c->streams) {
            put_part(c, &f->u.report);
        }
    } else if (f->type == FRAME_RESULT && (c = (call *)pending_find(&g->by_call, f->u.result.call_id)) != NULL) {
        const frame_result *r = &f->u.result;
        c->outcome = r->outcome;
        end_span(c, r->outcome, r->code, r->text);
        const char *name = call_outcome_name(r->outcome);
        pending_done(&c->p, status_of(r->outcome, r->code), r->code.len > 0 ? r->code : str_of(name),
                     r->text.len > 0 ? r->text : str_of(name), r->payload);
    }
}

/* ---- the request ---- */

static loom_status check_capability(loom_str name, const char **reason)
{
    if (name.len > FRAME_CAPABILITY_MAX) {
        *reason = "it is over its limit";
        return LOOM_ETOOBIG;
    }
    return loom_topic_check(name, reason);
}

static void make_digest(call_ask *a, loom_bytes body)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)a->capability, sizeof a->capability); /* zeroed, so its end is clear */
    crypto_generichash_update(&state, (const uint8_t *)a->version, sizeof a->version);
    crypto_generichash_update(&state, body.data, body.len);
    crypto_generichash_final(&state, a->digest, DIGEST_SIZE);
}

/* An outcome names its call by the key alone, so two requests may wait with one key only if they ask for the same. What
 * has ended is with the broker, which compares as well. */
static bool read_key(exchange *x, call_ask *a)
{
    const loom_str *key = http_request_field(x->request, "Idempotency-Key");
    if (key == NULL) {
        return true;
    }
    bool plain = key->len > 0 && key->len <= FRAME_CALL_ID_MAX;
    for (size_t i = 0; plain && i < key->len; i++) {
        plain = key->data[i] >= ' ' && key->data[i] < 0x7f;
    }
    if (!plain) {
        exchange_fail(x, 400, "invalid_parameter", "Idempotency-Key takes 1 to %d printable ASCII characters", FRAME_CALL_ID_MAX);
        return false;
    }
    a->key = *key;
    make_digest(a, http_request_body(x->request));
    const call *other = (const call *)pending_find(&x->gateway->by_call, (loom_bytes){(const uint8_t *)key->data, key->len});
    if (other != NULL && memcmp(other->digest, a->digest, DIGEST_SIZE) != 0) {
        exchange_fail(x, 422, "call_id_reused", "a request with this Idempotency-Key, but another capability, version or body, waits for its result");
        return false;
    }
    return true;
}

static bool has_bus(exchange *x)
{
    if (x->gateway->port == NULL) {
        exchange_fail(x, 503, "not_connected", "the gateway is not on the bus");
    }
    return x->gateway->port != NULL;
}

static bool read_ask(exchange *x, call_ask *a)
{
    const parameter_spec specs[] = {{.name = "deadline", .ms = &a->deadline_ms},
                                    {.name = "idle", .ms = &a->idle_ms},
                                    {.name = "version", .text = a->version, .size = sizeof a->version}};
    *a = (call_ask){.deadline_ms = GATEWAY_DEADLINE_MS, .payload = http_request_body(x->request)};
    if (!path_name(x, a->capability, "capability", check_capability) || !content_type(x, a->content_type) ||
        !parameters_read(x, specs, sizeof specs / sizeof *specs) || !read_key(x, a)) {
        return false;
    }
    if (http_request_body(x->request).len > x->gateway->options.payload_max) {
        exchange_fail(x, 413, "too_large", "the payload is over its limit of %u bytes", x->gateway->options.payload_max);
        return false;
    }
    return has_bus(x);
}

static void start_span(call *c, loom_envelope_fields *f, const call_ask *a, inherited *text)
{
    const exchange *x = &c->p.x;
    loom_trace_context decided;
    const loom_str state = loom_span_tracestate(x->span);
    exchange_inherit(f, x, state.len > 0 ? state : x->from.tracestate, text);
    if (!span_decide(x->gateway->options.tracer, &call_hops[HOP_ACTION_INVOKE], &x->context, false, &decided)) {
        loom_envelope_inject(f, &decided);
        return;
    }
    const call_facts facts = {.agent = f->sender, .capability = f->topic, .version = str_of(a->version), .call_id = id_of(c),
                              .id = f->id, .payload_len = f->payload.len};
    const loom_span_options options = {.parent = &x->context, .tracestate = f->tracestate};
    c->span = call_span_start(x->gateway->options.tracer, HOP_ACTION_INVOKE, &facts, &options, &decided);
    loom_envelope_inject(f, loom_span_context(c->span));
}

/* To the bus. The outcome may come before this returns. */
static void send_call(call *c, const call_ask *a)
{
    gateway *g = c->p.x.gateway;
    inherited text;
    uint8_t id[LOOM_UUID_SIZE];
    size_t size;
    envelope_view view;
    const char *reason = "";
    loom_envelope_fields f = {.topic = str_of(a->capability), .payload = a->payload,
                              .sender = gateway_agent(g), .content_type = str_of(a->content_type), .ttl = g->options.ttl};
    loom_uuid7_generate(f.id);
    start_span(c, &f, a, &text);
    loom_status st = envelope_encode_check(&f, &size);
    if (st == LOOM_OK && !gateway_scratch(g, size)) {
        st = LOOM_ENOMEM;
    }
    if (st == LOOM_OK) {
        size = envelope_encode(g->scratch, &f, id);
        st = envelope_scan(&view, (loom_bytes){g->scratch, size}, &(envelope_limits){.payload_max = g->options.payload_max}, &reason);
    }
    if (st != LOOM_OK) {
        end_span(c, FRAME_CALL_ERROR, str_of(loom_status_name(st)), str_of(loom_status_text(st)));
        pending_done(&c->p, status_of_refusal(st), str_of(code_of_refusal(st)), str_of(loom_status_text(st)), (loom_bytes){0});
        return;
    }
    const uint64_t flags = (a->key.len > 0 ? FRAME_CALL_IDEMPOTENT : 0u) | (c->streams ? FRAME_CALL_STREAMS : 0u);
    const frame_call wanted = {.call_id = id_of(c), .capability = f.topic, .version = str_of(a->version),
                             .deadline_ms = a->deadline_ms, .idle_ms = a->idle_ms, .flags = flags};
    g->options.bus->ops->call(g->options.bus, g->port, &wanted, &view, g->scratch);
    g->stats.calls++;
    if (c->streams) {
        grant(c);
    }
}

/* NULL: the exchange has been failed. */
static call *open_call(exchange *x, const call_ask *a)
{
    gateway *g = x->gateway;
    call *c = pending_create(x, sizeof *c, &g->waiting, a->deadline_ms + GRACE_MS);
    if (c == NULL) {
        return NULL;
    }
    c->p.job.run = run;
    c->p.late = late;
    c->p.idle = idle;
    sse_init(&c->s, g, on_taken, on_stream_closed);
    if (a->key.len > 0) {
        memcpy(c->id, a->key.data, c->id_len = a->key.len);
        memcpy(c->digest, a->digest, DIGEST_SIZE);
    } else {
        loom_uuid7_generate(c->id);
        c->id_len = LOOM_UUID_SIZE;
    }
    pending_key(&c->p, &g->by_call, id_of(c));
    return c;
}

void action_post(exchange *x)
{
    call_ask a;
    if (!read_ask(x, &a)) {
        return;
    }
    const bool streams = event_stream_wish(x->request) == STREAM_WANTED;
    call *c = open_call(x, &a);
    if (c != NULL) {
        c->streams = streams;
        send_call(c, &a);
    }
}

void action_ask(exchange *x, const char *capability, loom_bytes question, void (*take)(exchange *x, loom_bytes result))
{
    call_ask a = {.deadline_ms = ASK_MS, .payload = question};
    snprintf(a.capability, sizeof a.capability, "%s", capability);
    call *c = has_bus(x) ? open_call(x, &a) : NULL;
    if (c != NULL) {
        c->take = take;
        send_call(c, &a);
    }
}
