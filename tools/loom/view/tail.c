/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/tail?filter=F: the events that a filter selects, as server-sent events.
 *
 * Nobody reads a thousand lines a second, so each tail has a budget of lines and bytes for each second, and a bound on what is
 * still to be sent; what is over is only counted, and the count is told. The subscription is one of QoS realtime with a large
 * queue: a page that is slow holds no publisher up. */
#include <loom/topic.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "host/json_text.h"
#include "tools/loom/event_json.h"
#include "tools/loom/view/event_out.h"
#include "tools/loom/view/member.h"

enum { LINES_A_SECOND = 200, BYTES_A_SECOND = 2 << 20, PAYLOAD_TOLD = 16 << 10, SILENCE_TICKS = 10, QUEUE_MESSAGES = 65536 };

typedef struct tail {
    list_node node;
    view_member *member;
    event_out out;
    uint64_t subscription;
    unsigned lines, silent; /* of this second; seconds without a word */
    size_t bytes;           /* of payloads, of this second */
    uint64_t skipped, told; /* events that were only counted */
} tail;

/* ---- the stream ---- */

static void send_more(tail *t)
{
    if (event_out_send(&t->out)) {
        t->silent = 0;
    }
}

/* From inside http_stream_send(), too, so it only makes room; what has come meanwhile leaves with the next event or tick. */
static void on_sent(void *user)
{
    tail *t = user;
    event_out_sent(&t->out);
}

static void on_closed(void *user)
{
    tail *t = user;
    view_member *m = t->member;
    list_remove(&m->tails, &t->node);
    m->tail_count--;
    if (m->agent != NULL) {
        (void)loom_agent_unsubscribe(m->agent, t->subscription);
    }
    event_out_fini(&t->out);
    free(t);
}

/* ---- events ---- */

static json_t *describe(const loom_envelope *event)
{
    loom_trace_context ctx;
    char trace_id[LOOM_TRACE_ID_HEX_SIZE] = "";
    const bool traced = loom_envelope_extract(event, &ctx);
    if (traced) {
        loom_trace_id_to_hex(trace_id, ctx.trace_id);
    }
    const loom_bytes payload = loom_envelope_payload(event);
    json_t *all = event_to_json(event, traced ? trace_id : NULL);
    if (all == NULL) {
        return NULL;
    }
    json_object_set_new(all, "sampled", json_boolean(traced && (ctx.trace_flags & LOOM_TRACE_FLAG_SAMPLED) != 0));
    if (payload.len > PAYLOAD_TOLD) {
        json_object_del(all, "payload");
        json_object_del(all, "payload_base64");
        const loom_str told = utf8_cut((loom_str){(const char *)payload.data, payload.len}, PAYLOAD_TOLD);
        payload_to_json(all, (loom_bytes){(const uint8_t *)told.data, told.len});
    }
    json_object_set_new(all, "payload_bytes", json_integer((json_int_t)payload.len));
    return all;
}

static loom_status on_event(loom_agent *agent, const char *topic, loom_envelope *event, void *user)
{
    tail *t = user;
    const size_t size = loom_envelope_payload(event).len;
    (void)agent;
    (void)topic;
    if (t->lines >= LINES_A_SECOND || t->bytes + size > BYTES_A_SECOND || !event_out_put_json(&t->out, "event", describe(event))) {
        t->skipped++;
        return LOOM_OK;
    }
    t->lines++;
    t->bytes += size;
    send_more(t);
    return LOOM_OK;
}

/* ---- what else is told ---- */

static void tell_state(tail *t)
{
    const view_member *m = t->member;
    (void)event_out_put_json(&t->out, "state", json_pack("{s:b, s:o}", "connected", view_member_is_connected(m), "problem", json_text(str_of(m->problem))));
    send_more(t);
}

void view_tails_tell_state(view_member *m)
{
    for (list_node *at = m->tails.first, *next; at != NULL; at = next) {
        next = at->next;
        tell_state(list_item(at, tail, node));
    }
}

void view_tails_tick(view_member *m)
{
    for (list_node *at = m->tails.first, *next; at != NULL; at = next) {
        tail *t = list_item(at, tail, node);
        next = at->next;
        t->lines = 0;
        t->bytes = 0;
        if (t->skipped != t->told && event_out_put_json(&t->out, "skipped", json_pack("{s:I}", "count", (json_int_t)t->skipped))) {
            t->told = t->skipped;
        } else if (++t->silent >= SILENCE_TICKS) {
            (void)event_out_put(&t->out, "alive", "{}");
        }
        send_more(t);
    }
}

/* ---- the request ---- */

typedef struct tail_query {
    char filter[LOOM_TOPIC_MAX + 1], type[LOOM_TYPE_MAX + 1];
} tail_query;

static const char *read_parameter(void *user, const char *name, const char *value)
{
    tail_query *q = user;
    const char *why = NULL;
    if (strcmp(name, "filter") == 0 && q->filter[0] == '\0' && loom_filter_check(str_of(value), &why) == LOOM_OK) {
        snprintf(q->filter, sizeof q->filter, "%s", value);
    } else if (strcmp(name, "type") == 0 && strlen(value) < sizeof q->type) {
        snprintf(q->type, sizeof q->type, "%s", value);
    } else {
        return why != NULL ? why : "is not known here, there twice, or too long; there are filter=FILTER and type=TYPE";
    }
    return NULL;
}

static loom_status subscribe(tail *t, const tail_query *q)
{
    const char *const types[] = {q->type, NULL};
    const loom_subscribe_options options = {.on_event = on_event, .user = t, .types = q->type[0] != '\0' ? types : NULL,
                                            .qos = LOOM_QOS_REALTIME, .queue_messages = QUEUE_MESSAGES};
    return loom_agent_subscribe(t->member->agent, q->filter, &options, &t->subscription);
}

static void begin(view_member *m, http_request *r, const tail_query *q)
{
    static const http_stream_events events = {.sent = on_sent, .closed = on_closed};
    tail *t = calloc(1, sizeof *t);
    if (t == NULL) {
        view_fail(m->view, r, 503, "out of memory");
        return;
    }
    t->member = m;
    const loom_status st = subscribe(t, q);
    if (st != LOOM_OK) {
        view_fail(m->view, r, st == LOOM_EINVAL ? 400 : 503, loom_status_text(st));
        free(t);
        return;
    }
    t->out.stream = view_answer_stream(r, "text/event-stream", &events, t);
    if (t->out.stream == NULL) {
        (void)loom_agent_unsubscribe(m->agent, t->subscription);
        free(t);
        return;
    }
    list_append(&m->tails, &t->node);
    m->tail_count++;
    tell_state(t);
}

void view_tail(void *user, http_request *r)
{
    view *v = user;
    view_member *m = v->member;
    tail_query q = {.filter = ""};
    char why[VIEW_PROBLEM_SIZE];
    if (!view_parameters(http_request_query(r), read_parameter, &q, why)) {
        view_fail(v, r, 400, why);
    } else if (q.filter[0] == '\0') {
        view_fail(v, r, 400, "filter is missing, such as filter=sensor.>");
    } else if (m->tail_count == MEMBER_TAILS_MAX) {
        view_fail(v, r, 503, "too many tails are open: close one");
    } else if (m->agent == NULL) {
        (void)view_member_agent(m, r);
    } else {
        begin(m, r, &q);
    }
}
