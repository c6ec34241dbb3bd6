/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of a message's span: OpenTelemetry's messaging conventions (semconv 1.27, "Messaging attributes"), and
 * the plain names that users of the bus search for. */
#ifndef LOOM_SDK_MESSAGE_ATTRS_H
#define LOOM_SDK_MESSAGE_ATTRS_H

#include <loom/envelope.h>
#include <loom/trace.h>

enum { MESSAGE_ATTRS = 13 };

typedef struct message_attrs {
    loom_attr items[MESSAGE_ATTRS];
    char event_id[LOOM_UUID_TEXT_SIZE];
} message_attrs;

typedef struct message_facts {
    const char *operation_type; /* "send" or "process" */
    const char *operation_name; /* of Loom's API: "emit", "on_event" */
    loom_str agent;
    loom_str topic;
    loom_str thread_id;      /* empty: the event's id */
    loom_str correlation_id; /* empty: the thread's */
    const uint8_t *id;       /* LOOM_UUID_SIZE bytes */
    size_t payload_len;
} message_facts;

/* Borrows from facts and from itself: for a span that starts now. */
void message_attrs_fill(message_attrs *out, const message_facts *facts);

#endif
