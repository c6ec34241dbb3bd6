/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/events/{topic}: one event, its body the payload; or an object with all fields (?envelope); or lines of either
 * (publish_batch.c).
 *
 * While the bus presses, publishes wait, as an agent's do; one that has waited too long is answered 429. */
#include <loom/topic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bridge/gateway/internal.h"
#include "envelope/id.h"

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

bool publish_fill(message *m, const publish_ask *a, loom_bytes body, char why[PROBLEM_SIZE])
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

size_t publish_write_accepted(char out[PUBLISH_LINE_SIZE], const exchange *x, const uint8_t id[LOOM_UUID_SIZE])
{
    char text[LOOM_UUID_TEXT_SIZE], trace_id[LOOM_TRACE_ID_HEX_SIZE];
    loom_uuid_to_text(text, id);
    if (!loom_trace_context_valid(&x->context)) {
        return (size_t)snprintf(out, PUBLISH_LINE_SIZE, "{\"id\":\"%s\"}", text);
    }
    loom_trace_id_to_hex(trace_id, x->context.trace_id);
    return (size_t)snprintf(out, PUBLISH_LINE_SIZE, "{\"id\":\"%s\",\"trace_id\":\"%s\"}", text, trace_id);
}

static void publish_one(exchange *x, const publish_ask *a)
{
    gateway *g = x->gateway;
    char why[PROBLEM_SIZE], line[PUBLISH_LINE_SIZE];
    uint8_t id[LOOM_UUID_SIZE];
    message m;
    if (!publish_fill(&m, a, http_request_body(x->request), why)) {
        exchange_fail(x, 400, "invalid_event", "%s", why);
    } else if (gateway_emit(g, &m.fields, x, id) != LOOM_OK) {
        exchange_fail(x, status_of_refusal(g->refused), code_of_refusal(g->refused), "%s", g->refusal);
    } else {
        const size_t len = publish_write_accepted(line, x, id);
        char text[LOOM_UUID_TEXT_SIZE];
        loom_uuid_to_text(text, id);
        const http_field field = {"Loom-Event-ID", str_of(text)};
        exchange_answer(x, 202, &(exchange_body){"application/json", {(const uint8_t *)line, len}, &field, 1});
    }
    message_fini(&m);
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
    if (!gone && status != 0) {
        exchange_fail(&x, status, p->code, "%s", p->text);
    }
    pending_free(p);
    if (gone) {
        exchange_left(&x);
    } else if (status == 0) {
        handler(&x);
    }
}

void publish_late(pending *p)
{
    pending_done(p, 429, str_of("busy"), str_of("the bus takes no events at present: its subscribers are behind"), (loom_bytes){0});
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
        h->p.late = publish_late;
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
