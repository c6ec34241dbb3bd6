/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/requests/{topic}: an event whose reply is the answer. Replies come to the mailbox of the gateway, and are told
 * apart by their correlation id, which is the gateway's own. */
#include <loom/topic.h>
#include <stdio.h>
#include <string.h>

#include "bridge/gateway/internal.h"
#include "envelope/id.h"
#include "trace/messaging/message_span.h"

typedef struct ask {
    pending p; /* first */
    char correlation[LOOM_UUID_TEXT_SIZE], event_id[LOOM_UUID_TEXT_SIZE];
    char type[LOOM_CONTENT_TYPE_MAX + 1]; /* of the reply */
} ask;

typedef struct request_ask {
    char topic[LOOM_TOPIC_MAX + 1], content_type[LOOM_CONTENT_TYPE_MAX + 1], type[LOOM_TYPE_MAX + 1];
    uint32_t deadline_ms;
} request_ask;

/* ---- the answer ---- */

static void run(gateway_job *job)
{
    ask *a = (ask *)job;
    pending *p = &a->p;
    const loom_bytes payload = {p->payload, p->payload_len};
    if (p->gone) {
        exchange_left(&p->x);
    } else if (p->status == 200) {
        const http_field field = {"Loom-Event-ID", str_of(a->event_id)};
        const char *type = is_content_type(str_of(a->type)) ? a->type : payload_type(payload);
        exchange_answer(&p->x, 200, &(exchange_body){type, payload, &field, 1});
    } else {
        exchange_fail(&p->x, p->status, p->code, "%s", p->text);
    }
    pending_free(p);
}

static void late(pending *p)
{
    pending_done(p, 504, str_of("timeout"), str_of("no reply came within the deadline"), (loom_bytes){0});
}

void request_deliver(gateway *g, const envelope_view *view)
{
    char buf[LOOM_UUID_TEXT_SIZE];
    message_pass pass;
    message_pass_begin(&pass, g->options.bridge_tracer, HOP_BRIDGE_FORWARD, view, gateway_agent(g), !g->options.bus->in_process,
                       NULL);
    const loom_str correlation = envelope_view_correlation_id(view, buf), type = envelope_view_str(view, ENV_CONTENT_TYPE);
    ask *a = (ask *)pending_find(&g->by_correlation, (loom_bytes){(const uint8_t *)correlation.data, correlation.len});
    if (a == NULL) {
        g->stats.replies_late++;
        loom_span_add_event(message_pass_span(&pass), "loom.reply.late", NULL, 0);
    } else {
        loom_uuid_to_text(a->event_id, envelope_view_bytes(view, ENV_ID).data);
        snprintf(a->type, sizeof a->type, "%.*s", (int)type.len, type.len > 0 ? type.data : "");
        pending_done(&a->p, 200, (loom_str){0}, (loom_str){0}, envelope_view_bytes(view, ENV_PAYLOAD));
    }
    message_pass_end(&pass, NULL);
}

/* ---- the request ---- */

static bool read_ask(exchange *x, request_ask *a)
{
    const parameter_spec specs[] = {{.name = "deadline", .ms = &a->deadline_ms},
                                    {.name = "type", .text = a->type, .size = sizeof a->type}};
    *a = (request_ask){.deadline_ms = GATEWAY_DEADLINE_MS};
    return path_name(x, a->topic, "topic", loom_topic_check) && content_type(x, a->content_type) &&
           parameters_read(x, specs, sizeof specs / sizeof *specs);
}

static void open_mailbox(gateway *g)
{
    if (g->mailbox_open || g->port == NULL) {
        return;
    }
    g->mailbox_open = true; /* on the way to the bus it precedes the request */
    g->options.bus->ops->frame(g->options.bus, g->port,
                               &(frame){.type = FRAME_SUBSCRIBE,
                                        .u.subscribe = {.request = GATEWAY_MAILBOX, .subscription = GATEWAY_MAILBOX,
                                                        .filter = str_of(g->mailbox)}});
}

static void request(exchange *x)
{
    gateway *g = x->gateway;
    request_ask wanted;
    uint8_t id[LOOM_UUID_SIZE];
    if (!read_ask(x, &wanted)) {
        return;
    }
    open_mailbox(g);
    const loom_bytes body = http_request_body(x->request);
    ask *a = pending_create(x, sizeof *a, &g->waiting, wanted.deadline_ms);
    if (a == NULL) {
        return;
    }
    a->p.job.run = run;
    a->p.late = late;
    loom_uuid7_generate(id);
    loom_uuid_to_text(a->correlation, id);
    pending_key(&a->p, &g->by_correlation, bytes_of(a->correlation));
    loom_envelope_fields f = {.topic = str_of(wanted.topic), .payload = body, .type = str_of(wanted.type),
                              .correlation_id = str_of(a->correlation), .reply_to = str_of(g->mailbox),
                              .content_type = str_of(wanted.content_type)};
    const loom_status st = gateway_emit(g, &f, &a->p.x, id);
    if (st != LOOM_OK) {
        pending_done(&a->p, status_of_refusal(st), str_of(code_of_refusal(st)), str_of(g->refusal), (loom_bytes){0});
    } else {
        g->stats.requests_sent++;
    }
}

void request_post(exchange *x)
{
    publish_when_free(x, request);
}
