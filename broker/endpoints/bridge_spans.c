/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that a bridge sends: its own, and those that its agents have sent to it. No span is made of that. */
#include "broker/endpoints/internal.h"

static void answer(void *user)
{
    bridge_peer *b = user;
    frame_writer *w = bridge_peer_writer(b, 0);
    const frame_span_credit totals = span_sender_answer(b->spans);
    if (w != NULL) {
        bridge_peer_wrote(b, frame_put_span_credit(w, &totals));
    }
}

uint64_t bridge_spans_open(bridge_peer *b)
{
    const span_sender_options options = {.resumed = answer, .user = b};
    (void)!span_sender_open(b->server->options.spans, &b->spans, &options); /* without memory it sends none */
    return span_sender_credit(b->spans);
}

void bridge_spans_take(bridge_peer *b, const frame_spans *f)
{
    bus_server *s = b->server;
    span_refusal why;
    const uint64_t refused = span_sender_take(s->options.spans, b->spans, f, &why);
    if (refused > 0) {
        bus_log_limited(s, &s->spans_log, LOG_WARN, "spans of a bridge refused bridge=%.*s count=%llu reason=\"%s\"", (int)b->id_len,
                        b->id, (unsigned long long)refused, span_refusal_text(why));
    }
    if (b->spans != NULL && why != SPAN_REFUSED_CREDIT) {
        answer(b);
    }
}
