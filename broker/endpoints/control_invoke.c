/* SPDX-License-Identifier: Apache-2.0 */
/* The control operation "invoke": calls a capability for a program that has nothing but a REQ socket.
 *
 * All invocations go through one port, of the agent "control". The answer is sent when the outcome is there; when the one
 * who asked goes away before, its call is cancelled. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <loom/baggage.h>
#include <loom/tracestate.h>

#include "base/str.h"
#include "broker/endpoints/control_internal.h"
#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"
#include "trace/messaging/call_span.h"

/* One reference is that of the tables, until there is an outcome; another that of control_invoke() while it makes the call,
 * since the outcome may come at once. */
typedef struct invocation {
    bytes_node by_call; /* first */
    bytes_node by_question, by_peer;
    unsigned refs;
    sp_reply_to to;
    const uint8_t *wire; /* while the call is being made: its hop context is that of action.dispatch */
    uint8_t trace_id[LOOM_TRACE_ID_SIZE];
    size_t id_len;
    uint8_t id[FRAME_CALL_ID_MAX];
} invocation;

static loom_bytes id_of(const invocation *i)
{
    return (loom_bytes){i->id, i->id_len};
}

static void unref(invocation *i)
{
    if (--i->refs == 0) {
        free(i);
    }
}

/* Of one question of one peer. */
static loom_bytes question_key(const sp_reply_to *to)
{
    static_assert(offsetof(sp_reply_to, backtrace) == offsetof(sp_reply_to, peer_number) + sizeof to->peer_number,
                  "the number and the ids of a question lie side by side");
    return (loom_bytes){(const uint8_t *)&to->peer_number, sizeof to->peer_number + to->backtrace_len};
}

static loom_bytes peer_key(const sp_peer *const *peer)
{
    return (loom_bytes){(const uint8_t *)peer, sizeof *peer};
}

static void put(control_endpoint *c, invocation *i)
{
    bytes_table_add(&c->by_call, &i->by_call, id_of(i));
    bytes_table_add(&c->by_question, &i->by_question, question_key(&i->to));
    bytes_table_add(&c->by_peer, &i->by_peer, peer_key((const sp_peer *const *)&i->to.peer));
}

/* Its reference is the caller's from here on. */
static void take(control_endpoint *c, invocation *i)
{
    bytes_table_remove(&c->by_call, &i->by_call);
    bytes_table_remove(&c->by_question, &i->by_question);
    bytes_table_remove(&c->by_peer, &i->by_peer);
}

/* ---- outcomes ---- */

static void keep_trace_id(invocation *i)
{
    if (i->wire != NULL) {
        loom_trace_context ctx;
        hop_read(i->wire, &ctx);
        memcpy(i->trace_id, ctx.trace_id, sizeof i->trace_id);
    }
}

static void answer_outcome(bus_server *s, const invocation *i, const frame_result *f)
{
    char trace_id[LOOM_TRACE_ID_HEX_SIZE];
    const char *name = call_outcome_name(f->outcome < ACTION_OUTCOMES ? f->outcome : FRAME_CALL_ERROR);
    control_buffer answer;
    control_buffer_init(&answer);
    msgpack_packer *pk = &answer.pk;
    loom_trace_id_to_hex(trace_id, i->trace_id);
    msgpack_pack_map(pk, 8);
    control_pack_uint(pk, "status", LOOM_OK);
    control_pack_uint(pk, "outcome", f->outcome);
    control_pack_text(pk, "outcome_name", str_of(name));
    control_pack_text(pk, "code", f->code);
    control_pack_text(pk, "text", f->text);
    control_pack_key(pk, "payload");
    control_pack_bin(pk, f->payload);
    control_pack_key(pk, "call_id");
    control_pack_bin(pk, id_of(i));
    control_pack_text(pk, "trace_id", (loom_str){trace_id, sizeof trace_id - 1});
    control_reply(s, &i->to, &answer);
    control_buffer_fini(&answer);
}

static void on_frame(void *user, const frame *f)
{
    bus_server *s = user;
    if (f->type != FRAME_RESULT) {
        return; /* progress: there is no way for it */
    }
    invocation *i = (invocation *)bytes_table_find(&s->control.by_call, f->u.result.call_id);
    if (i != NULL) {
        take(&s->control, i);
        keep_trace_id(i);
        answer_outcome(s, i, &f->u.result);
        unref(i);
    }
}

static void on_deliver(void *user, uint64_t subscription, const envelope_view *view)
{
    (void)user;
    (void)subscription;
    (void)view;
}

static void on_call(void *user, const frame_call *f, const envelope_view *view)
{
    (void)user;
    (void)f;
    (void)view;
}

static loom_status open_port(bus_server *s)
{
    static const bus_handlers handlers = {.deliver = on_deliver, .call = on_call, .frame = on_frame};
    static const char id[] = "control", bridge[] = "broker";
    directory_about about = {.agent = {id, sizeof id - 1}, .bridge = {bridge, sizeof bridge - 1},
                             .software = {s->software, strlen(s->software)}};
    return s->control.port != NULL ? LOOM_OK : port_open(&s->cores, &s->control.port, &about, &handlers, s);
}

/* ---- invoking ---- */

/* The map was checked when the request was read. False: too many. */
static bool read_headers(loom_bytes map, loom_header headers[CONTROL_HEADERS_MAX], size_t *count)
{
    *count = 0;
    if (map.len == 0) {
        return true;
    }
    mp_reader r = {map.data, map.data + map.len};
    uint32_t pairs;
    if (!mp_read_map(&r, &pairs) || pairs > CONTROL_HEADERS_MAX) {
        return false;
    }
    while (*count < pairs) {
        loom_header *h = &headers[(*count)++];
        if (!mp_read_str(&r, &h->key) || !mp_read_str(&r, &h->value)) {
            return false;
        }
    }
    return true;
}

/* As much of the requester's context as is valid and an envelope holds, by whole members (Trace Context, 3.3.1.5; Baggage,
 * 3.3.2): no bridge mends what comes here. */
typedef struct mended_context {
    char tracestate[LOOM_TRACESTATE_MAX];
    loom_baggage *baggage; /* NULL: there is none */
} mended_context;

static void set_context(loom_envelope_fields *fields, mended_context *mended, const control_request *q)
{
    loom_trace_context ctx;
    size_t len;
    *mended = (mended_context){.baggage = NULL};
    if (loom_tracestate_truncate(mended->tracestate, sizeof mended->tracestate, &len, str_trim_lines(q->tracestate),
                                 LOOM_TRACESTATE_MAX) == LOOM_OK) {
        fields->tracestate = (loom_str){mended->tracestate, len};
    }
    if (q->baggage.len > 0 && loom_baggage_parse(&mended->baggage, str_trim_lines(q->baggage), NULL) == LOOM_OK) {
        fields->baggage = loom_baggage_text(mended->baggage);
    }
    if (loom_traceparent_parse(&ctx, str_trim_lines(q->traceparent)) == LOOM_OK) { /* an invalid one counts as absent */
        loom_envelope_inject(fields, &ctx);
    }
}

/* NULL: *st and *text say why not. */
static loom_envelope *make_envelope(const bus_server *s, const control_request *q, loom_status *st, const char **text)
{
    loom_header headers[CONTROL_HEADERS_MAX];
    mended_context mended;
    loom_envelope *env = NULL;
    loom_envelope_fields fields = {
        .topic = q->capability,
        .payload = q->payload,
        .sender = {"control", sizeof "control" - 1},
        .content_type = q->content_type,
        .headers = headers,
        .ttl = s->options.ttl,
    };
    uint32_t payload_max = s->options.payload_max != 0 ? s->options.payload_max : LOOM_PAYLOAD_MAX;
    *st = LOOM_ETOOBIG;
    *text = "payload is over its limit";
    if (q->payload.len > payload_max) {
        return NULL;
    }
    *text = "too many headers";
    if (!read_headers(q->headers, headers, &fields.header_count)) {
        return NULL;
    }
    set_context(&fields, &mended, q);
    *st = loom_envelope_create(&env, &fields);
    loom_baggage_unref(mended.baggage);
    *text = *st == LOOM_ETOOBIG ? "a field is over its limit" : loom_status_text(*st);
    return env;
}

/* A REQ socket asks again when it has waited for a minute, not knowing that its question is being worked on. */
static bool waits_already(const control_endpoint *c, const sp_reply_to *to)
{
    return bytes_table_find(&c->by_question, question_key(to)) != NULL;
}

/* In the tables, with a second reference for the caller. NULL: out of memory. */
static invocation *remember(bus_server *s, const control_request *q, const sp_reply_to *to)
{
    invocation *i = calloc(1, sizeof *i);
    if (i == NULL) {
        return NULL;
    }
    i->to = *to;
    i->refs = 2;
    if (q->call_id.len > 0) {
        memcpy(i->id, q->call_id.data, i->id_len = q->call_id.len);
    } else {
        loom_uuid7_generate(i->id);
        i->id_len = LOOM_UUID_SIZE;
    }
    put(&s->control, i);
    return i;
}

control_outcome control_invoke(bus_server *s, const control_request *q, const sp_reply_to *to, control_buffer *answer)
{
    loom_status st;
    const char *text;
    if (q->call_id.len > FRAME_CALL_ID_MAX) {
        return control_refuse(answer, LOOM_ETOOBIG, "call_id is over its limit");
    }
    if (q->capability.len == 0) {
        return control_refuse(answer, LOOM_EINVAL, "capability is missing");
    }
    if (waits_already(&s->control, to)) {
        return CONTROL_LATER;
    }
    if ((st = open_port(s)) != LOOM_OK) {
        return control_refuse(answer, st, loom_status_text(st));
    }
    loom_envelope *env = make_envelope(s, q, &st, &text);
    if (env == NULL) {
        return control_refuse(answer, st, text);
    }
    invocation *i = remember(s, q, to);
    if (i == NULL) {
        loom_envelope_unref(env);
        return control_refuse(answer, LOOM_ENOMEM, loom_status_text(LOOM_ENOMEM));
    }
    const envelope_view *view = envelope_as_view(env);
    uint8_t *wire = (uint8_t *)(uintptr_t)view->data; /* nobody else has a reference */
    const frame_call call = {
        .call_id = id_of(i),
        .capability = q->capability,
        .version = q->version,
        .deadline_ms = q->deadline_ms,
        .flags = q->idempotent ? FRAME_CALL_IDEMPOTENT : 0,
    };
    i->wire = wire;
    port_call(s->control.port, &call, view, wire);
    keep_trace_id(i);
    i->wire = NULL;
    unref(i);
    loom_envelope_unref(env);
    return CONTROL_LATER;
}

/* ---- cancelling ---- */

void control_invoke_forget(bus_server *s, const sp_peer *peer)
{
    static const char reason[] = "the requester has gone";
    for (bytes_node *node; (node = bytes_table_find(&s->control.by_peer, peer_key(&peer))) != NULL;) {
        invocation *i = (invocation *)(void *)((char *)node - offsetof(invocation, by_peer));
        take(&s->control, i);
        /* under the same id somebody else may wait for the same call; nobody hears the outcome of this one */
        if (bytes_table_find(&s->control.by_call, id_of(i)) == NULL) {
            frame cancel = {.type = FRAME_CANCEL, .u.cancel = {id_of(i), {reason, sizeof reason - 1}}};
            (void)!port_frame(s->control.port, &cancel);
        }
        unref(i);
    }
}

void control_invoke_close(bus_server *s)
{
    port_close(s->control.port, LOOM_OK);
    s->control.port = NULL;
    static const char code[] = "cancelled", text[] = "the broker is shutting down";
    const frame_result over = {.outcome = FRAME_CALL_CANCELLED, .code = {code, sizeof code - 1}, .text = {text, sizeof text - 1}};
    size_t hint = 0;
    for (invocation *i; (i = (invocation *)bytes_table_any(&s->control.by_call, &hint)) != NULL;) {
        take(&s->control, i);
        answer_outcome(s, i, &over);
        unref(i);
    }
    bytes_table_fini(&s->control.by_call);
    bytes_table_fini(&s->control.by_question);
    bytes_table_fini(&s->control.by_peer);
}
