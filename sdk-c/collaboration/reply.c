/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/reply.h"

#include <string.h>

#include "base/str.h"
#include "sdk-c/agent/inherit.h"
#include "sdk-c/collaboration/own_headers.h"

/* A topic or id of an envelope as C text. False: too long, or with a NUL in it. */
static bool copy_text(char *out, size_t size, loom_str text)
{
    if (text.len >= size || (text.len > 0 && memchr(text.data, 0, text.len) != NULL)) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    out[text.len] = '\0';
    return true;
}

typedef struct reply_texts {
    char topic[LOOM_TOPIC_MAX + 1];
    char thread[LOOM_THREAD_ID_MAX + 1], correlation[LOOM_THREAD_ID_MAX + 1];
} reply_texts;

static bool set_texts(reply_texts *t, const loom_envelope *event)
{
    char reply_to[LOOM_REPLY_TO_SIZE], id[LOOM_UUID_TEXT_SIZE];
    return copy_text(t->topic, sizeof t->topic, loom_envelope_reply_to(event, reply_to)) &&
           copy_text(t->thread, sizeof t->thread, loom_envelope_thread_id(event, id)) &&
           copy_text(t->correlation, sizeof t->correlation, loom_envelope_correlation_id(event, id));
}

/* Outside of its handler, an event goes on where it was brought to us. */
static uint64_t enter_context(const loom_envelope *event)
{
    const loom_trace_context *current = loom_context_current();
    loom_trace_context context;
    if ((current != NULL && loom_trace_context_valid(current)) || !loom_envelope_extract(event, &context)) {
        return 0;
    }
    return loom_context_push(&context, loom_envelope_tracestate(event));
}

loom_status reply_with(loom_agent *a, loom_envelope *event, loom_bytes payload, const loom_emit_options *options,
                       const loom_header *own, size_t own_count, const exchange_address *asking)
{
    reply_texts texts;
    loom_header headers[6];
    size_t count = 0;
    loom_str key;
    loom_status st = agent_check_payload(a, payload);
    if (st != LOOM_OK || event == NULL) {
        return st != LOOM_OK ? st : last_error_null("the event");
    }
    if (!set_texts(&texts, event)) {
        return last_error(LOOM_EINVAL, "the event's reply_to, thread_id or correlation_id holds a NUL");
    }
    loom_emit_options reply = options != NULL ? *options : (loom_emit_options){0};
    reply.thread_id = texts.thread;
    reply.correlation_id = texts.correlation;
    reply.reply_to = asking != NULL ? asking->mailbox : NULL;
    if (reply.ttl == 0 && (reply.ttl = loom_envelope_ttl(event)) == 0) {
        return hops_used_up(event);
    }
    if (loom_envelope_header(event, HEADER_REQUEST, &key) == LOOM_OK) {
        headers[count++] = (loom_header){str_of(HEADER_IN_REPLY_TO), key};
    }
    if (asking != NULL) {
        headers[count++] = (loom_header){str_of(HEADER_REQUEST), str_of(asking->key)};
    }
    for (size_t i = 0; i < own_count; i++) {
        headers[count++] = own[i];
    }
    uint64_t token = enter_context(event);
    st = emit_with_headers(a, texts.topic, payload, &reply, headers, count, NULL);
    if (token != 0) {
        loom_context_pop(token);
    }
    return st;
}

loom_status loom_agent_reply(loom_agent *a, loom_envelope *event, loom_bytes payload, const loom_emit_options *options)
{
    return reply_with(a, event, payload, options, NULL, 0, NULL);
}
