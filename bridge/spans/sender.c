/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends spans, and the credit for it. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "bridge/spans/intake_internal.h"
#include "trace/export/processor.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

const char *span_refusal_text(span_refusal why)
{
    static const char *const texts[] = {
#define X(name, label, text) text,
        SPAN_REFUSAL_MAP(X)
#undef X
    };
    return why < SPAN_REFUSALS ? texts[why] : "";
}

/* ---- the intake ---- */

loom_status span_intake_create(span_intake **out, loom_span_processor *processor, const loop_clock *clock, uint32_t rate)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return LOOM_ENOMEM;
    }
    **out = (span_intake){.processor = loom_span_processor_ref(processor), .clock = clock, .rate = rate};
    return LOOM_OK;
}

void span_intake_destroy(span_intake *in)
{
    if (in != NULL) {
        loom_span_processor_unref(in->processor);
        free(in);
    }
}

bool span_intake_waits(const span_intake *in)
{
    return in->stats.waiting > 0;
}

span_intake_stats span_intake_get_stats(const span_intake *in)
{
    return in->stats;
}

/* ---- credit ---- */

/* A bridge is as fast as its agents may be together. A second's worth may come at once. */
static void pay(span_sender *s, uint64_t spans)
{
    const uint64_t now = s->intake->clock->now_ms * NS_PER_MS, earliest = now > NS_PER_S ? now - NS_PER_S : 0;
    if (s->options.agent.len > 0) {
        s->due_ns = (s->due_ns > earliest ? s->due_ns : earliest) + spans * NS_PER_S / s->intake->rate;
    }
}

static bool may_go_on(const span_sender *s)
{
    return s->due_ns <= s->intake->clock->now_ms * NS_PER_MS && processor_has_room(s->intake->processor);
}

static void set_waits(span_sender *s, bool on)
{
    span_intake *in = s->intake;
    if (on == s->waits) {
        return;
    }
    s->waits = on;
    if (on) {
        list_append(&in->waiting, &s->waiting);
        in->stats.waiting++;
        in->stats.held++;
    } else {
        list_remove(&in->waiting, &s->waiting);
        in->stats.waiting--;
    }
}

static bool give_credit(span_sender *s)
{
    const bool given = may_go_on(s);
    if (given) {
        s->answer.bytes = s->taken + s->window;
    }
    set_waits(s, !given);
    return given;
}

void sender_took(span_sender *s, size_t bytes, uint64_t accepted, uint64_t refused)
{
    s->taken += bytes;
    s->answer.spans += accepted + refused;
    s->answer.refused += refused;
    pay(s, accepted);
    (void)give_credit(s);
}

frame_span_credit span_sender_answer(const span_sender *s)
{
    return s->answer;
}

void span_intake_resume(span_intake *in)
{
    for (list_node *n = in->waiting.first, *next; n != NULL; n = next) {
        next = n->next;
        span_sender *s = list_item(n, span_sender, waiting);
        if (give_credit(s)) {
            s->options.resumed(s->options.user);
        }
    }
}

/* ---- life ---- */

/* One block for all of them. */
static bool keep_texts(span_sender *s)
{
    loom_str *const texts[] = {&s->options.agent, &s->options.service, &s->options.service_instance, &s->options.tenant};
    size_t len = 0, at = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        len += texts[i]->len;
    }
    s->texts = malloc(len > 0 ? len : 1);
    for (size_t i = 0; s->texts != NULL && i < sizeof texts / sizeof *texts; i++) {
        if (texts[i]->len > 0) {
            memcpy(s->texts + at, texts[i]->data, texts[i]->len);
        }
        texts[i]->data = s->texts + at;
        at += texts[i]->len;
    }
    return s->texts != NULL;
}

loom_status span_sender_open(span_intake *in, span_sender **out, const span_sender_options *options)
{
    *out = NULL;
    if (in == NULL) {
        return LOOM_ENOTFOUND;
    }
    const size_t resources = options->agent.len > 0 ? SPAN_RESOURCES_MAX : SPAN_RESOURCES_MAX_BRIDGE;
    span_sender *s = calloc(1, sizeof *s + resources * sizeof *s->resources);
    if (s == NULL) {
        return LOOM_ENOMEM;
    }
    s->resource_max = resources;
    s->intake = in;
    s->options = *options;
    if (!identity_may_serve(s)) {
        free(s);
        return LOOM_EDENIED;
    }
    if (!keep_texts(s)) {
        free(s);
        return LOOM_ENOMEM;
    }
    s->window = s->options.agent.len > 0 ? SPAN_WINDOW : SPAN_WINDOW_BRIDGE;
    s->answer.bytes = s->window;
    list_append(&in->senders, &s->node);
    in->stats.senders++;
    *out = s;
    return LOOM_OK;
}

void span_sender_close(span_sender *s)
{
    if (s == NULL) {
        return;
    }
    set_waits(s, false);
    list_remove(&s->intake->senders, &s->node);
    s->intake->stats.senders--;
    for (size_t i = 0; i < s->resource_count; i++) {
        foreign_close(s->resources[i]);
    }
    free(s->texts);
    free(s);
}

uint64_t span_sender_credit(const span_sender *s)
{
    return s != NULL ? s->answer.bytes : 0;
}
