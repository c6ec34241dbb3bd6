/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/publish/TOPIC and POST /api/invoke/CAPABILITY: what somebody sends from the page. The body is the payload. Each is
 * the root of a trace, whose id is in the answer. */
#include <loom/topic.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/str.h"
#include "envelope/id.h"
#include "envelope/reserved.h"
#include "host/json_text.h"
#include "tools/loom/event_json.h"
#include "tools/loom/view/event_out.h"
#include "tools/loom/view/member.h"

enum { HEADERS_MAX = 16, VALUE_MAX = 1024, DEADLINE_MS = 30000, DEADLINE_MAX_MS = 600000, PROGRESS_MAX = 50 };

/* ---- what goes with it ---- */

typedef struct send_query {
    char type[LOOM_TYPE_MAX + 1], content_type[256], version[64];
    uint64_t deadline_ns;
    bool parts; /* of the answer are told as they come */
    loom_header headers[HEADERS_MAX];
    char *texts[HEADERS_MAX]; /* of the headers */
    size_t header_count;
} send_query;

static void forget(send_query *q)
{
    for (size_t i = 0; i < q->header_count; i++) {
        free(q->texts[i]);
    }
}

static const char *add_header(send_query *q, const char *value)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value || strlen(value) > VALUE_MAX) {
        return "takes KEY=VALUE, of 1,024 bytes at most";
    }
    char *copy = q->header_count < HEADERS_MAX ? strdup(value) : NULL;
    if (copy == NULL) {
        return "there are too many of them";
    }
    const size_t key = (size_t)(equals - value);
    q->headers[q->header_count] = (loom_header){{copy, key}, {copy + key + 1, strlen(copy) - key - 1}};
    q->texts[q->header_count++] = copy;
    return NULL;
}

static const char *take_text(char *out, size_t size, const char *value)
{
    if (strlen(value) >= size) {
        return "is too long";
    }
    snprintf(out, size, "%s", value);
    return NULL;
}

static const char *read_parameter(void *user, const char *name, const char *value)
{
    send_query *q = user;
    if (strcmp(name, "type") == 0) {
        return take_text(q->type, sizeof q->type, value);
    }
    if (strcmp(name, "content_type") == 0) {
        return take_text(q->content_type, sizeof q->content_type, value);
    }
    if (strcmp(name, "version") == 0) {
        return take_text(q->version, sizeof q->version, value);
    }
    if (strcmp(name, "header") == 0) {
        return add_header(q, value);
    }
    if (strcmp(name, "deadline") == 0) {
        const bool fine = duration_parse(&q->deadline_ns, str_of(value)) && q->deadline_ns >= 1000000 && q->deadline_ns / 1000000 <= DEADLINE_MAX_MS;
        return fine ? NULL : "is a duration from 1ms to 10m";
    }
    if (strcmp(name, "parts") == 0) {
        q->parts = strcmp(value, "true") == 0;
        return q->parts || strcmp(value, "false") == 0 ? NULL : "is true or false";
    }
    return "is not known here; there are type, content_type, header=KEY=VALUE, and of a call version, deadline and parts";
}

/* Reads the name behind the route and the parameters; then sends, if the view is on the bus. */
static void sending_start(view *v, http_request *r, const char *what, loom_status (*check)(loom_str name, const char **reason),
                          void (*send)(view_member *m, http_request *r, const char *name, const send_query *q))
{
    send_query q = {.header_count = 0};
    char name[LOOM_TOPIC_MAX + 1], why[VIEW_PROBLEM_SIZE];
    if (view_member_name(v, r, name, what, check)) {
        if (!view_parameters(http_request_query(r), read_parameter, &q, why)) {
            view_fail(v, r, 400, why);
        } else if (view_member_agent(v->member, r) != NULL) {
            send(v->member, r, name, &q);
        }
    }
    forget(&q);
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void set_trace_id(json_t *to, const loom_span *span)
{
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    const loom_trace_context *ctx = loom_span_context(span);
    if (ctx != NULL && loom_span_is_recording(span)) {
        loom_trace_id_to_hex(hex, ctx->trace_id);
        json_object_set_new(to, "trace_id", json_string(hex));
    }
}

/* ---- publishing ---- */

static void publish(view_member *m, http_request *r, const char *topic, const send_query *q)
{
    uint8_t id[LOOM_UUID_SIZE];
    char id_text[LOOM_UUID_TEXT_SIZE];
    loom_span *span = loom_span_start(m->spans.tracer, "view.publish", &(loom_span_options){.root = true});
    loom_span_make_current(span);
    loom_span_set_string(span, "topic", topic);
    const loom_status st = loom_agent_emit(m->agent, topic, http_request_body(r),
                                           &(loom_emit_options){.type = or_null(q->type), .content_type = or_null(q->content_type),
                                                                .headers = q->headers, .header_count = q->header_count, .id_out = id});
    if (st != LOOM_OK) {
        loom_span_record_error(span, loom_status_name(st), loom_status_text(st));
        view_fail(m->view, r, st == LOOM_EFULL ? 503 : 400, loom_status_text(st));
    } else {
        loom_uuid_to_text(id_text, id);
        json_t *all = json_pack("{s:s, s:s}", "topic", topic, "event_id", id_text);
        set_trace_id(all, span);
        view_answer_json(r, all);
    }
    loom_span_end(span);
}

static loom_status check_publishable(loom_str topic, const char **reason)
{
    if (broker_name_reserved(topic)) {
        *reason = "topics under \"system.\" are the broker's own";
        return LOOM_EDENIED;
    }
    return loom_topic_check(topic, reason);
}

void view_publish(void *user, http_request *r)
{
    sending_start(user, r, "topic", check_publishable, publish);
}

/* ---- calling ---- */

/* With parts the answer is a stream of events: progress and chunk as they come, and result. It is freed when the result is
 * there and the stream has gone. */
typedef struct call {
    view_member *member;
    http_request *request; /* NULL: answered, or with parts */
    loom_span *span;
    uint64_t number, began_ns, skipped;
    json_t *progress;
    bool parts, ended, pumping;
    event_out out;
} call;

static json_t *describe_part(uint64_t number, loom_bytes payload)
{
    json_t *one = json_pack("{s:I}", "number", (json_int_t)number);
    if (one != NULL) {
        payload_to_json(one, payload);
    }
    return one;
}

static void end_call(call *c)
{
    loom_span_end(c->span);
    json_decref(c->progress);
    event_out_fini(&c->out);
    c->member->call_count--;
    free(c);
}

/* Sends what there is; the stream ends behind the result. */
static void pump(call *c)
{
    if (c->pumping) {
        return;
    }
    c->pumping = true;
    while (event_out_send(&c->out)) {
    }
    c->pumping = false;
    if (c->ended && c->out.stream != NULL && c->out.flying == NULL) {
        http_stream_close(c->out.stream, HTTP_CLOSE_NORMAL);
    }
}

static void tell_part(call *c, const char *event, uint64_t number, loom_bytes payload)
{
    if (!event_out_put_json(&c->out, event, describe_part(number, payload))) {
        c->skipped++;
    }
    pump(c);
}

static void on_chunk(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    (void)agent;
    tell_part(user, "chunk", number, payload);
}

static void on_progress(loom_agent *agent, uint64_t number, loom_bytes payload, void *user)
{
    call *c = user;
    (void)agent;
    if (c->parts) {
        tell_part(c, "progress", number, payload);
        return;
    }
    if (json_array_size(c->progress) == PROGRESS_MAX) {
        json_array_remove(c->progress, 0);
    }
    json_array_append_new(c->progress, describe_part(number, payload));
}

static void on_left(void *user)
{
    call *c = user;
    if (c->member->agent != NULL) {
        (void)loom_agent_cancel(c->member->agent, c->number, "the page was closed");
    }
}

static void on_sent(void *user)
{
    call *c = user;
    event_out_sent(&c->out);
    pump(c);
}

static void on_closed(void *user)
{
    call *c = user;
    c->out.stream = NULL;
    if (c->ended) {
        end_call(c);
    } else {
        on_left(c);
    }
}

static json_t *describe(const call *c, const loom_result *result)
{
    json_t *all = json_pack("{s:s, s:I, s:O}", "outcome", loom_outcome_name(loom_result_outcome(result)), "took_ns",
                            (json_int_t)(loom_time_unix_ns() - c->began_ns), "progress", c->progress);
    if (all != NULL) {
        if (c->skipped > 0) {
            json_object_set_new(all, "skipped", json_integer((json_int_t)c->skipped));
        }
        view_set_text(all, "code", str_of(loom_result_code(result)));
        view_set_text(all, "text", str_of(loom_result_text(result)));
        payload_to_json(all, loom_result_payload(result));
        set_trace_id(all, c->span);
    }
    return all;
}

static void on_result(loom_agent *agent, loom_result *result, void *user)
{
    call *c = user;
    (void)agent;
    if (loom_result_outcome(result) != LOOM_OUTCOME_OK) {
        const char *code = loom_result_code(result);
        loom_span_record_error(c->span, code[0] != '\0' ? code : loom_outcome_name(loom_result_outcome(result)), loom_result_text(result));
    }
    json_t *what = describe(c, result);
    loom_result_free(result);
    if (!c->parts) {
        view_answer_json(c->request, what);
        end_call(c);
        return;
    }
    c->ended = true;
    if (c->out.stream == NULL) { /* the page has gone */
        json_decref(what);
        end_call(c);
        return;
    }
    (void)event_out_put_json(&c->out, "result", what);
    pump(c);
}

static void invoke(view_member *m, http_request *r, const char *capability, const send_query *q)
{
    call *c = calloc(1, sizeof *c);
    if (c == NULL || (c->progress = json_array()) == NULL) {
        free(c);
        view_fail(m->view, r, 503, "out of memory");
        return;
    }
    c->member = m;
    c->request = r;
    c->parts = q->parts;
    c->began_ns = loom_time_unix_ns();
    c->span = loom_span_start(m->spans.tracer, "view.invoke", &(loom_span_options){.root = true});
    loom_span_set_string(c->span, "capability", capability);
    m->call_count++;
    const loom_invoke_options options = {.version = or_null(q->version), .content_type = or_null(q->content_type), .type = or_null(q->type),
                                         .headers = q->headers, .header_count = q->header_count, .on_progress = on_progress, .on_chunk = q->parts ? on_chunk : NULL, .user = c,
                                         .deadline_ms = q->deadline_ns > 0 ? (uint32_t)(q->deadline_ns / 1000000) : DEADLINE_MS};
    const uint64_t token = loom_context_push(loom_span_context(c->span), (loom_str){0});
    const loom_status st = loom_agent_invoke_async(m->agent, capability, http_request_body(r), &options, on_result, c, &c->number);
    loom_context_pop(token);
    if (st != LOOM_OK) {
        loom_span_record_error(c->span, loom_status_name(st), loom_status_text(st));
        view_fail(m->view, r, st == LOOM_EINVAL || st == LOOM_ETOOBIG ? 400 : 503, loom_status_text(st));
        end_call(c);
    } else if (!c->parts) {
        http_request_on_left(r, on_left, c);
    } else {
        static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
        c->request = NULL;
        c->out.stream = view_answer_stream(r, "text/event-stream", &events, c);
        if (c->out.stream == NULL) { /* the page has gone */
            on_left(c);
        }
    }
}

void view_invoke(void *user, http_request *r)
{
    view *v = user;
    if (v->member->call_count == MEMBER_CALLS_MAX) {
        view_fail(v, r, 503, "too many calls are under way: wait for one to end");
    } else {
        sending_start(v, r, "capability", loom_topic_check, invoke);
    }
}

void view_member_state(void *user, http_request *r)
{
    const view_member *m = ((view *)user)->member;
    view_answer_json(r, json_pack("{s:s, s:b, s:o, s:I}", "id", m->id, "connected", view_member_is_connected(m), "problem", json_text(str_of(m->problem)), "spans_lost",
                             (json_int_t)m->spans.lost));
}
