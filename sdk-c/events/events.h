/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent publishes and what it is subscribed to. Here is what emit.c, subscribe.c and dispatch.c share. */
#ifndef LOOM_SDK_EVENTS_H
#define LOOM_SDK_EVENTS_H

#include "envelope/mailbox_name.h"
#include "envelope/msgpack_bytes.h"
#include "sdk-c/agent/parts.h"
#include "sdk-c/events/kept.h"
#include "sdk-c/events/subscriptions.h"

/* Who handles a subscription, as the loop last saw it. */
typedef struct known_handler {
    uint64_t number;
    uint64_t generation;    /* of the handlers when it was seen */
    loom_on_event on_event; /* NULL: an empty place */
    void *user;
    bool immediate;
    bool grouped;           /* its subscription is in a group */
} known_handler;
enum { KNOWN_HANDLERS = 16 };

/* A deliver frame being handled; on the stack of who handles it. */
typedef struct batch_cursor {
    struct batch_cursor *outer;
    mp_reader r;
    uint32_t left; /* items */
} batch_cursor;

typedef struct events {
    /* guarded by the loop's lock */
    uint64_t emitted, refused;
    size_t topic_len;
    char topic[LOOM_TOPIC_MAX]; /* the last one that was found valid */
    subscriptions subs;

    _Atomic uint64_t generation; /* grows when a handler has gone or changed: what the loop knows of handlers is void */

    /* the loop's */
    known_handler handlers[KNOWN_HANDLERS];
    loom_envelope *event;        /* reused while nobody kept it */
    size_t event_capacity;
    batch_cursor *batch;         /* the innermost deliver frame being handled */
    kept_list kept;              /* for when the outermost handler has returned */
    kept_list kept_immediate;    /* for the next nested round */
} events;

/* With the subscriptions that options ask for, and the one to the agent's mailbox. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status events_create(events **out, loom_str agent_id, const loom_agent_options *options);
void events_free(events *e); /* NULL is allowed */

/* A question that goes with an event: how many subscriptions it matches. */
typedef struct emit_ask {
    uint64_t number; /* comes with the answer */
    frame_ask_how how;
    bool sent;           /* out: it was asked: the bridge can answer, and is there */
    uint64_t connection; /* out: on which; with its end the answer does not come */
} emit_ask;
/* Whether a topic that is there and its options have the form they need: before a wait, which they would make useless. */
LOOM_MUST_CHECK loom_status emit_check(const char *topic, const loom_emit_options *options);
/* loom_agent_emit() with a question. */
LOOM_MUST_CHECK loom_status emit_asking(loom_agent *a, const char *topic, loom_bytes payload, const loom_emit_options *options,
                                        emit_ask *ask);

enum { MAILBOX_SIZE = sizeof MAILBOX_PREFIX MAILBOX_SUFFIX + LOOM_AGENT_ID_MAX };
/* Answers an event of the mailbox that only asks whether the agent is there. False: it is another. */
bool events_answer_ping(loom_agent *a, loom_envelope *event);
void events_mailbox(char out[MAILBOX_SIZE], loom_str agent_id);

#endif
