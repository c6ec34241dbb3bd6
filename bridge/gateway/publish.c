/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/events/{topic}: one event, its body the payload; or an object with all fields (?envelope); or lines of either
 * (application/x-ndjson), each answered by a line.
 *
 * While the bus presses, publishes wait, as an agent's do; one that has waited too long is answered 429. */
#include <loom/topic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bridge/gateway/internal.h"
#include "envelope/id.h"

enum { LINE_SIZE = 256 };

typedef struct publish_ask {
    char topic[LOOM_TOPIC_MAX + 1];
    char content_type[LOOM_CONTENT_TYPE_MAX + 1];
    char type[LOOM_TYPE_MAX + 1], thread_id[LOOM_THREAD_ID_MAX + 1], correlation_id[LOOM_THREAD_ID_MAX + 1];
    char reply_to[LOOM_TOPIC_MAX + 1];
    bool envelope;
} publish_ask;

static bool read_ask(exchange *x, publish_ask *a)
{
    const parameter_spec specs[] = {
        {.name = "envelope", .flag = &a->envelope},
        {.name = "type", .text = a->type, .size = sizeof a->type},
        {.name = "thread_id", .text = a->thread_id, .size = sizeof a->thread_id},
        {.name = "correlation_id", .text = a->correlation_id, .size = sizeof a->correlation_id},
        {.name = "reply_to", .text = a->reply_to, .size = sizeof a->reply_to},
    };
    *a = (publish_ask){0};
    if (!path_name(x, a->topic, "topic", loom_topic_check) || !content_type(x, a->content_type) ||
        !parameters_read(x, specs, sizeof specs / sizeof *specs)) {
        return false;
    }
    if (!http_request_has_length(x->request)) {
        exchange_fail(x, 411, "length_required", "an event needs a body, be it empty: send Content-Length or Transfer-Encoding");
        return false;
    }
    const loom_str type = str_of(a->content_type);
    if (a->envelope && !is_media_type(type, "application/json") && !is_media_type(type, "application/x-ndjson")) {
        exchange_fail(x, 415, "unsupported_media_type", "with ?envelope the body is application/json or application/x-ndjson");
        return false;
    }
    if (a->envelope && (a->type[0] != '\0' || a->thread_id[0] != '\0' || a->correlation_id[0] != '\0' || a->reply_to[0] != '\0')) {
        exchange_fail(x, 400, "invalid_parameter", "with ?envelope the fields of an event are in the body, and not in the query");
        return false;
    }
    return true;
}

/* ---- one ---- */

/* The fields of one event. False: why says what is wrong. */
static bool fill(message *m, const publish_ask *a, loom_bytes body, char why[PROBLEM_SIZE])
{
    if (a->envelope) {
        return message_read(m, body, str_of(a->topic), why);
    }
    *m = (message){.fields = {.topic = str_of(a->topic),
                              .payload = body,
                              .type = str_of(a->type),
                              .thread_id = str_of(a->thread_id),
                              .correlation_id = str_of(a->correlation_id),
                              .reply_to = str_of(a->reply_to),
                              .content_type = str_of(a->content_type)}};
    return true;
}

/* {"id":"…","trace_id":"…"} */
static size_t write_accepted(char out[LINE_SIZE], const exchange *x, const uint8_t id[LOOM_UUID_SIZE])
{
    char text[LOOM_UUID_TEXT_SIZE], trace_id[LOOM_TRACE_ID_HEX_SIZE];
    loom_uuid_to_text(text, id);
    if (!loom_trace_context_valid(&x->context)) {
        return (size_t)snprintf(out, LINE_SIZE, "{\"id\":\"%s\"}", text);
    }
    loom_trace_id_to_hex(trace_id, x->context.trace_id);
    return (size_t)snprintf(out, LINE_SIZE, "{\"id\":\"%s\",\"trace_id\":\"%s\"}", text, trace_id);
}

static void publish_one(exchange *x, const publish_ask *a)
{
    gateway *g = x->gateway;
    char why[PROBLEM_SIZE], line[LINE_SIZE];
    uint8_t id[LOOM_UUID_SIZE];
    message m;
    if (!fill(&m, a, http_request_body(x->request), why)) {
        exchange_fail(x, 400, "invalid_event", "%s", why);
    } else if (gateway_emit(g, &m.fields, x, id) != LOOM_OK) {
        exchange_fail(x, status_of_refusal(g->refused), code_of_refusal(g->refused), "%s", g->refusal);
    } else {
        const size_t len = write_accepted(line, x, id);
        char text[LOOM_UUID_TEXT_SIZE];
        loom_uuid_to_text(text, id);
        const http_field field = {"Loom-Event-ID", str_of(text)};
        exchange_answer(x, 202, &(exchange_body){"application/json", {(const uint8_t *)line, len}, &field, 1});
    }
    message_fini(&m);
}

/* ---- many ---- */

/* Takes the next line that is not empty. */
static bool next_line(loom_str *rest, loom_str *line)
{
    while (str_next_item(rest, '\n', line)) {
        if (line->len > 0 && line->data[line->len - 1] == '\r') {
            line->len--;
        }
        if (str_trim(*line).len > 0) {
            return true;
        }
    }
    return false;
}

/* 0: accepted; else its status. */
static uint16_t publish_line(exchange *x, const publish_ask *a, loom_str line, text_buffer *out)
{
    gateway *g = x->gateway;
    char why[PROBLEM_SIZE], text[PROBLEM_JSON_SIZE];
    uint8_t id[LOOM_UUID_SIZE];
    message m;
    loom_status st = LOOM_EINVAL;
    const loom_bytes body = {(const uint8_t *)line.data, line.len};
    if (!a->envelope && !payload_is_json(body)) {
        m = (message){0};
        snprintf(why, sizeof why, "the line is not JSON");
    } else if (fill(&m, a, body, why)) {
        m.fields.content_type = a->envelope ? m.fields.content_type : str_of("application/json");
        st = gateway_emit(g, &m.fields, x, id);
        snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, g->refusal);
    }
    message_fini(&m);
    const size_t len = st == LOOM_OK ? write_accepted(text, x, id)
                                     : problem_json(text, status_of_refusal(st), code_of_refusal(st), why);
    text_put(out, text, len);
    text_puts(out, "\n");
    return st == LOOM_OK ? 0 : status_of_refusal(st);
}

static void publish_batch(exchange *x, const publish_ask *a)
{
    const loom_bytes body = http_request_body(x->request);
    loom_str rest = {(const char *)body.data, body.len}, line;
    text_buffer out = {0};
    size_t count = 0, accepted = 0;
    uint16_t refused = 0; /* the status of all that were refused; 400: they differ */
    while (next_line(&rest, &line)) {
        count++;
    }
    if (count == 0 || count > GATEWAY_BATCH_MAX) {
        exchange_fail(x, count == 0 ? 400 : 413, count == 0 ? "invalid_event" : "too_many_events",
                      "a batch has 1 to %d lines, and this one %zu", GATEWAY_BATCH_MAX, count);
        return;
    }
    rest = (loom_str){(const char *)body.data, body.len};
    while (next_line(&rest, &line)) {
        const uint16_t status = publish_line(x, a, line, &out);
        accepted += status == 0;
        refused = status == 0 || status == refused ? refused : refused == 0 ? status : 400;
    }
    loom_span_set_int(x->span, "messaging.batch.message_count", (int64_t)count);
    const uint16_t status = out.failed ? 503 : accepted == count ? 202 : accepted > 0 ? 207 : refused;
    exchange_answer(x, status, &(exchange_body){.type = "application/x-ndjson",
                                                .bytes = {out.bytes.data, out.failed ? 0 : out.bytes.len}});
    text_fini(&out);
}

static void publish(exchange *x)
{
    publish_ask a;
    if (!read_ask(x, &a)) {
        return;
    }
    if (is_media_type(str_of(a.content_type), "application/x-ndjson")) {
        publish_batch(x, &a);
    } else {
        publish_one(x, &a);
    }
}

/* ---- waiting for the bus ---- */

typedef struct held_publish {
    pending p; /* first */
    void (*handler)(exchange *x);
} held_publish;

static void go_on(gateway_job *job)
{
    held_publish *h = (held_publish *)job;
    pending *p = &h->p;
    exchange x = p->x;
    const uint16_t status = p->status;
    const bool gone = p->gone;
    void (*handler)(exchange *) = h->handler;
    if (!gone && status == 0 && x.gateway->pressed) {
        return; /* again */
    }
    http_request_on_left(x.request, NULL, NULL);
    pending_free(p);
    if (gone) {
        exchange_left(&x);
    } else if (status != 0) {
        exchange_fail(&x, status, status == 429 ? "busy" : "shutting_down", "%s",
                      status == 429 ? "the bus takes no events at present: its subscribers are behind" : "the gateway is shutting down");
    } else {
        handler(&x);
    }
}

static void late(pending *p)
{
    pending_done(p, 429, (loom_str){0}, (loom_str){0}, (loom_bytes){0});
}

void publish_when_free(exchange *x, void (*handler)(exchange *x))
{
    gateway *g = x->gateway;
    if (!g->pressed) {
        handler(x);
        return;
    }
    held_publish *h = pending_create(x, sizeof *h, &g->held, GATEWAY_HELD_MS);
    if (h != NULL) {
        h->p.job.run = go_on;
        h->p.late = late;
        h->handler = handler;
    }
}

void publish_post(exchange *x)
{
    publish_when_free(x, publish);
}

void publish_go_on(gateway *g)
{
    for (list_node *node = g->held.first; node != NULL; node = node->next) {
        gateway_soon(g, &list_item(node, pending, list)->job);
    }
}
