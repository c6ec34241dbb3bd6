/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's subscriptions: what it asked for, who handles it, and whether the bridge has agreed in this session.
 * Guard: the lock of the agent's loop, for everything. */
#ifndef LOOM_SDK_EVENTS_SUBSCRIPTIONS_H
#define LOOM_SDK_EVENTS_SUBSCRIPTIONS_H

#include <loom/agent.h>

#include "envelope/frame/frame.h"

typedef struct subscription {
    uint64_t number;       /* of the agent's life; grows */
    bool internal;         /* the agent's own: a refusal is reported, and fails nobody's wait */
    bool immediate;        /* its events are handled even while a handler waits */
    bool answered;         /* by the bridge, in this session */
    loom_status answer;
    loom_on_event on_event; /* NULL: nobody, not even the agent, handles it */
    void *user;
    loom_qos qos;
    uint32_t queue_messages, queue_bytes, deadline_ms;
    uint32_t type_count;
    char *types[FRAME_TYPES_MAX];
    char *group;           /* NULL: none */
    char filter[];
} subscription;

typedef struct subscriptions {
    subscription **items; /* by growing number */
    size_t count, capacity;
    uint64_t last_number;
} subscriptions;

/* reason is a sentence fragment. LOOM_EINVAL. */
LOOM_MUST_CHECK loom_status subscription_check(const char *filter, const loom_subscribe_options *options,
                                               const char **reason);

void subscriptions_fini(subscriptions *s);
/* on_event and user: of the agent, for options without. Fields have been checked. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status subscriptions_add(subscriptions *s, subscription **out, const char *filter,
                                              const loom_subscribe_options *options, loom_on_event on_event, void *user);
/* NULL: there is none. Valid until the lock is given up. */
subscription *subscriptions_find(const subscriptions *s, uint64_t number);
bool subscriptions_remove(subscriptions *s, uint64_t number);
/* A session begins or ends: nothing is answered. */
void subscriptions_forget_answers(subscriptions *s);
void subscription_answered(subscription *sub, loom_status answer);
/* Whether all up to this number are answered; *answer is then the first refusal that is not of an internal one. */
bool subscriptions_answered(const subscriptions *s, uint64_t last_number, loom_status *answer);
LOOM_MUST_CHECK loom_status subscription_put(const subscription *sub, frame_writer *w, uint64_t request);

#endif
