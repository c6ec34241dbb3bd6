/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/events/events.h"

#include <stdio.h>
#include <stdlib.h>

#include <loom/collaboration.h>

#include "base/str.h"
#include "sdk-c/agent/parts.h"

void events_mailbox(char out[MAILBOX_SIZE], loom_str agent_id)
{
    snprintf(out, MAILBOX_SIZE, MAILBOX_PREFIX "%s" MAILBOX_SUFFIX, agent_id.data);
}

bool events_answer_ping(loom_agent *a, loom_envelope *event)
{
    if (!str_is(loom_envelope_type(event), LOOM_PING_TYPE)) {
        return false;
    }
    const loom_status st = loom_agent_reply(a, event, (loom_bytes){0}, &(loom_emit_options){.type = "loom.pong"});
    (void)st; /* who asks finds out by himself that no answer comes */
    return true;
}

/* Until the agent asks somebody something, and its mailbox is looked through for answers first. */
static loom_status on_mail(loom_agent *a, const char *topic, loom_envelope *event, void *user)
{
    if (events_answer_ping(a, event) || a->options.on_event == NULL) {
        return LOOM_OK;
    }
    return a->options.on_event(a, topic, event, user);
}

static loom_status subscribe_all(events *e, loom_str agent_id, const loom_agent_options *options)
{
    char mailbox[MAILBOX_SIZE];
    subscription *sub;
    events_mailbox(mailbox, agent_id);
    loom_status st = subscriptions_add(&e->subs, &sub, mailbox, NULL, on_mail, options->user);
    if (st == LOOM_OK) {
        sub->internal = true;
    }
    for (size_t i = 0; st == LOOM_OK && options->topics != NULL && options->topics[i] != NULL; i++) {
        st = subscriptions_add(&e->subs, &sub, options->topics[i], NULL, options->on_event, options->user);
    }
    return st;
}

loom_status events_create(events **out, loom_str agent_id, const loom_agent_options *options)
{
    *out = NULL;
    events *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return LOOM_ENOMEM;
    }
    loom_status st = subscribe_all(e, agent_id, options);
    if (st != LOOM_OK) {
        events_free(e);
        return st;
    }
    *out = e;
    return LOOM_OK;
}

void events_free(events *e)
{
    if (e == NULL) {
        return;
    }
    subscriptions_fini(&e->subs);
    loom_envelope_unref(e->event);
    kept_free(&e->kept);
    kept_free(&e->kept_immediate);
    free(e);
}
