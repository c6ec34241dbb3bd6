/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of events (application/x-ndjson), each answered by a line.
 *
 * They are published in turns: a few lines may be much work, when many subscriptions match them, and others use the same loop.
 * What waits for a bus that presses waits here; what has waited too long is refused, line by line, and so is what is left when
 * the gateway ends. */
#include <stdio.h>

#include "base/str.h"
#include "bridge/gateway/internal.h"

typedef struct batch {
    pending p; /* first */
    publish_ask ask;
    loom_str rest;
    size_t count, accepted;
    uint16_t refused; /* the status of all that were refused; 400: they differ */
    text_buffer out;
} batch;

/* ---- a line ---- */

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
static uint16_t publish_line(const exchange *x, const publish_ask *a, loom_str line, text_buffer *out)
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
    } else if (publish_fill(&m, a, body, why)) {
        m.fields.content_type = a->envelope ? m.fields.content_type : str_of("application/json");
        st = gateway_emit(g, &m.fields, x, id);
        snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, g->refusal);
    }
    message_fini(&m);
    const size_t len = st == LOOM_OK ? publish_write_accepted(text, x, id)
                                     : problem_json(text, status_of_refusal(st), code_of_refusal(st), why);
    text_put(out, text, len);
    text_puts(out, "\n");
    return st == LOOM_OK ? 0 : status_of_refusal(st);
}

/* ---- their turns ---- */

static void count_line(batch *b, uint16_t status)
{
    b->accepted += status == 0;
    b->refused = status == 0 || status == b->refused ? b->refused : b->refused == 0 ? status : 400;
}

/* True: all lines are through. */
static bool publish_some(batch *b, const exchange *x)
{
    const gateway *g = x->gateway;
    const uint64_t before = g->options.bus->work;
    loom_str line;
    for (unsigned i = 0; i < GATEWAY_BATCH_TURN && !g->pressed; i++) {
        if (bus_fan_out(g->options.bus->work - before) >= BUS_TURN) {
            return false;
        }
        if (!next_line(&b->rest, &line)) {
            return true;
        }
        count_line(b, publish_line(x, &b->ask, line, &b->out));
    }
    return false;
}

static void refuse_rest(batch *b)
{
    const uint16_t status = b->p.status;
    char text[PROBLEM_JSON_SIZE];
    loom_str line;
    while (next_line(&b->rest, &line)) {
        text_put(&b->out, text, problem_json(text, status, b->p.code, b->p.text));
        text_puts(&b->out, "\n");
        count_line(b, status);
    }
}

static void answer(batch *b)
{
    exchange x = b->p.x;
    text_buffer out = b->out;
    const uint16_t status = out.failed ? 503 : b->accepted == b->count ? 202 : b->accepted > 0 ? 207 : b->refused;
    const bool gone = b->p.gone;
    loom_span_set_int(x.span, "messaging.batch.message_count", (int64_t)b->count);
    http_request_on_left(x.request, NULL, NULL);
    pending_free(&b->p);
    if (gone) {
        exchange_left(&x);
    } else {
        exchange_answer(&x, status, &(exchange_body){.type = "application/x-ndjson",
                                                     .bytes = {out.bytes.data, out.failed ? 0 : out.bytes.len}});
    }
    text_fini(&out);
}

/* Also when the client has left: it has said all of it. */
static void go_on(gateway_job *job)
{
    batch *b = (batch *)job;
    gateway *g = b->p.x.gateway;
    bool through = false;
    if (g->closing) {
        b->p.gone = true;
        through = true;
    } else if (b->p.status != 0) {
        refuse_rest(b);
        through = true;
    } else if (!g->pressed) {
        through = publish_some(b, &b->p.x);
        b->p.deadline_ms = uv_now(g->loop) + GATEWAY_HELD_MS;
    }
    if (through) {
        answer(b);
    } else if (!g->pressed) {
        gateway_soon(g, job);
    }
}

void publish_batch(exchange *x, const publish_ask *a)
{
    const loom_bytes body = http_request_body(x->request);
    const loom_str lines = {(const char *)body.data, body.len};
    loom_str rest = lines, line;
    size_t count = 0;
    while (next_line(&rest, &line)) {
        count++;
    }
    if (count == 0 || count > GATEWAY_BATCH_MAX) {
        exchange_fail(x, count == 0 ? 400 : 413, count == 0 ? "invalid_event" : "too_many_events",
                      "a batch has 1 to %d lines, and this one %zu", GATEWAY_BATCH_MAX, count);
        return;
    }
    batch *b = pending_create(x, sizeof *b, &x->gateway->held, GATEWAY_HELD_MS);
    if (b != NULL) {
        b->p.job.run = go_on;
        b->p.late = publish_late;
        b->ask = *a;
        b->rest = lines;
        b->count = count;
        go_on(&b->p.job);
    }
}
