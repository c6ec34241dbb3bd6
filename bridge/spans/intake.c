/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of spans: walked where it lies, span by span. */
#include "bridge/spans/intake_internal.h"
#include "bridge/spans/recorded.h"

#include "trace/otlp/fields.h"
#include "trace/otlp/protobuf_read.h"

enum { LEFT_MAX = 1 << 24, SPAN_BYTES_MIN = 24 }; /* the latter of an encoded span with two ids: nobody has more of them in a frame, whatever it says */

/* What stands beside the spans: of each field the last, as every reader takes it. */
typedef struct scope_head {
    loom_bytes scope;
    loom_bytes schema, schema_url; /* the field, and what is in it */
} scope_head;

typedef struct walk {
    span_sender *sender;
    span_intake_stats *stats;
    uint64_t now_unix_ns, accepted, refused;
    span_refusal why;
    bool recorded; /* by an agent that leaves: for the flight recorder */
    loom_bytes resource; /* of the spans that are looked at, */
    scope_head head;     /* and what stands beside them */
} walk;

static void refuse(walk *w, span_refusal why, uint64_t spans)
{
    w->stats->refused[why] += w->recorded ? 0 : spans;
    w->refused += spans;
    w->why = spans > 0 ? why : w->why;
}

/* The last field of this number, as every reader takes it. False: the bytes are no message. */
static bool find_message(loom_bytes message, uint32_t number, loom_bytes *out)
{
    pb_cursor c = pb_cursor_on(message);
    pb_field f;
    *out = (loom_bytes){0};
    while (pb_next(&c, &f)) {
        if (pb_is(&f, number, PB_LENGTH)) {
            *out = f.bytes;
        }
    }
    return !c.bad;
}

/* How many spans there are that nobody will look at. */
static uint64_t count_spans(loom_bytes scope_spans)
{
    pb_cursor c = pb_cursor_on(scope_spans);
    pb_field f;
    uint64_t spans = 0;
    while (pb_next(&c, &f)) {
        spans += pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH);
    }
    return spans;
}

static bool find_scope(loom_bytes scope_spans, scope_head *out)
{
    pb_cursor c = pb_cursor_on(scope_spans);
    pb_field f;
    *out = (scope_head){0};
    for (const uint8_t *at = c.at; pb_next(&c, &f); at = c.at) {
        if (pb_is(&f, SCOPE_SPANS_SCOPE, PB_LENGTH)) {
            out->scope = f.bytes;
        } else if (pb_is(&f, SCOPE_SPANS_SCHEMA_URL, PB_LENGTH)) {
            out->schema = (loom_bytes){at, (size_t)(c.at - at)};
            out->schema_url = f.bytes;
        }
    }
    return !c.bad;
}

/* A bridge has those of all its agents. */
static foreign_resource *add_resource(walk *w, loom_bytes encoded, loom_str agent, span_refusal *why)
{
    span_sender *s = w->sender;
    *why = identity_check(s, encoded);
    if (*why != SPAN_REFUSALS) {
        return NULL;
    }
    if (s->resource_count == s->resource_max) {
        *why = SPAN_REFUSED_RESOURCES;
        if (s->options.agent.len > 0) {
            return NULL;
        }
        foreign_close(s->resources[0]);
        s->resource_count--;
        for (size_t i = 0; i < s->resource_count; i++) {
            s->resources[i] = s->resources[i + 1];
        }
    }
    foreign_resource *r;
    if (foreign_open(&r, s->intake->processor, encoded, agent) != LOOM_OK) {
        *why = SPAN_REFUSED_MEMORY;
        return NULL;
    }
    s->resources[s->resource_count++] = r;
    return r;
}

/* agent: the session's, or nothing, of spans that are not its own. */
static foreign_resource *find_resource(walk *w, loom_bytes encoded, loom_str agent, span_refusal *why)
{
    const span_sender *s = w->sender;
    for (size_t i = s->resource_count; i-- > 0;) {
        if (foreign_is(s->resources[i], encoded, agent)) {
            return s->resources[i];
        }
    }
    return add_resource(w, encoded, agent, why);
}

/* Of spans of another agent, which are not said to be the session's. NULL: why it is not there. */
static foreign_scope *scope_of_others(walk *w, span_refusal *why)
{
    foreign_resource *r = find_resource(w, w->resource, (loom_str){0}, why);
    foreign_scope *scope = r != NULL ? foreign_scope_of(r, w->head.scope, w->head.schema, true) : NULL;
    *why = r != NULL ? SPAN_REFUSED_RESOURCES : *why;
    return scope;
}

static void take_checked(walk *w, foreign_scope *scope, loom_bytes field, loom_bytes span)
{
    if (!w->recorded) {
        foreign_submit(scope, field);
        w->accepted++;
    } else if (recorded_put(w->sender->intake->processor, scope, span)) {
        w->accepted++;
    } else {
        refuse(w, SPAN_REFUSED_MEMORY, 1);
    }
}

static void take_span(walk *w, foreign_scope *scope, loom_bytes field, loom_bytes span)
{
    static const span_refusal refusals[] = {[SPAN_MALFORMED] = SPAN_REFUSED_MALFORMED, [SPAN_INVALID] = SPAN_REFUSED_INVALID,
                                            [SPAN_TOO_LARGE] = SPAN_REFUSED_TOO_LARGE};
    const span_fault fault = span_check(span, w->now_unix_ns);
    if (fault != SPAN_FINE) {
        refuse(w, refusals[fault], 1);
        return;
    }
    const span_maker maker = identity_maker(w->sender, span);
    span_refusal why = maker == MAKER_FORGED ? SPAN_REFUSED_IDENTITY : SPAN_REFUSED_TENANT;
    if (maker == MAKER_FORGED || !identity_has_tenant(w->sender, span) ||
        (maker == MAKER_OTHER && (scope = scope_of_others(w, &why)) == NULL)) {
        refuse(w, why, 1);
    } else {
        take_checked(w, scope, field, span);
    }
}

static void take_scope(walk *w, foreign_resource *resource, loom_bytes scope_spans)
{
    scope_head *const head = &w->head;
    if (!find_scope(scope_spans, head)) {
        return; /* what is not counted here is malformed */
    }
    foreign_scope *scope = foreign_scope_of(resource, head->scope, head->schema, false);
    if (scope == NULL) {
        const span_fault fault = span_check_scope(head->scope, head->schema_url);
        scope = fault == SPAN_FINE ? foreign_scope_of(resource, head->scope, head->schema, true) : NULL;
        if (scope == NULL) {
            refuse(w, fault == SPAN_FINE ? SPAN_REFUSED_RESOURCES : SPAN_REFUSED_MALFORMED, count_spans(scope_spans));
            return;
        }
    }
    pb_cursor c = pb_cursor_on(scope_spans);
    pb_field f;
    for (const uint8_t *at = c.at; pb_next(&c, &f); at = c.at) {
        if (pb_is(&f, SCOPE_SPANS_SPANS, PB_LENGTH)) {
            take_span(w, scope, (loom_bytes){at, (size_t)(c.at - at)}, f.bytes);
        }
    }
}

static void take_resource(walk *w, loom_bytes resource_spans)
{
    span_refusal why = SPAN_REFUSED_MALFORMED;
    if (!find_message(resource_spans, RESOURCE_SPANS_RESOURCE, &w->resource)) {
        return;
    }
    foreign_resource *resource = find_resource(w, w->resource, w->sender->options.agent, &why);
    pb_cursor c = pb_cursor_on(resource_spans);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (!pb_is(&f, RESOURCE_SPANS_SCOPE_SPANS, PB_LENGTH)) {
            continue;
        }
        if (resource != NULL) {
            take_scope(w, resource, f.bytes);
        } else {
            refuse(w, why, count_spans(f.bytes));
        }
    }
}

static void take_request(walk *w, loom_bytes request)
{
    pb_cursor c = pb_cursor_on(request);
    pb_field f;
    while (pb_next(&c, &f)) {
        if (pb_is(&f, REQUEST_RESOURCE_SPANS, PB_LENGTH)) {
            take_resource(w, f.bytes);
        }
    }
}

/* What the frame says it holds, and nobody has seen in it: no more than its bytes may hold. */
static void refuse_rest(walk *w, const frame_spans *f, span_refusal why)
{
    const uint64_t most = f->request.len / SPAN_BYTES_MIN + 1, seen = w->accepted + w->refused;
    const uint64_t said = f->spans < most ? f->spans : most;
    refuse(w, why, said > seen ? said - seen : 0);
}

uint64_t span_sender_take(span_intake *in, span_sender *s, const frame_spans *f, span_refusal *why)
{
    if (in == NULL) {
        *why = SPAN_REFUSED_CREDIT;
        return f->spans;
    }
    walk w = {.sender = s, .stats = &in->stats, .now_unix_ns = clock_unix_ns(), .why = SPAN_REFUSALS};
    const bool granted = s != NULL && s->taken < s->answer.bytes;
    in->stats.frames++;
    in->stats.bytes += f->request.len;
    if (granted) {
        take_request(&w, f->request);
    }
    refuse_rest(&w, f, granted ? SPAN_REFUSED_MALFORMED : SPAN_REFUSED_CREDIT);
    in->stats.accepted += w.accepted;
    in->stats.received += w.accepted + w.refused;
    if (s != NULL) {
        sender_took(s, f->request.len, w.accepted, w.refused);
    }
    *why = w.why;
    return w.refused;
}

/* ---- what agents that leave have recorded ---- */

bool span_sender_may_hand_over(const span_sender *s)
{
    return s != NULL && s->options.agent.len > 0 && recorded_is_on(s->intake->processor);
}

/* Whether there is room for so many bytes more. */
static bool pay_hand_over(span_intake *in, span_sender *s, size_t bytes)
{
    const uint64_t now = in->clock->now_ms * UINT64_C(1000000), due = in->handed_ns > now ? in->handed_ns : now;
    const uint64_t ahead = UINT64_C(1000000000) / SPAN_HAND_OVER_PER_SECOND * SPAN_HAND_OVER_BURST;
    if (s->handed + bytes > SPAN_HAND_OVER_MAX || due - now > ahead) {
        return false;
    }
    s->handed += bytes;
    in->handed_ns = due + bytes * UINT64_C(1000000000) / SPAN_HAND_OVER_PER_SECOND;
    return true;
}

uint64_t span_sender_hand_over(span_intake *in, span_sender *s, const frame_spans *f, span_refusal *why)
{
    *why = SPAN_REFUSED_CREDIT;
    if (in == NULL) {
        return f->spans;
    }
    walk w = {.sender = s, .stats = &in->stats, .now_unix_ns = clock_unix_ns(), .why = SPAN_REFUSALS, .recorded = true};
    const bool may = span_sender_may_hand_over(s) && pay_hand_over(in, s, f->request.len);
    if (may) {
        take_request(&w, f->request);
    }
    refuse_rest(&w, f, may ? SPAN_REFUSED_MALFORMED : SPAN_REFUSED_CREDIT);
    in->stats.recorded += w.accepted;
    in->stats.recorded_refused += w.refused;
    if (may && !s->left_told) { /* once, and no more than a ring of a gibibyte may hold */
        s->left_told = f->left > 0;
        in->stats.left += f->left < LEFT_MAX ? f->left : LEFT_MAX;
    }
    *why = w.why;
    return w.refused;
}
