/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of an agent: each is done at once, and answered by an ack that says what was wrong. */
#include <loom/topic.h>

#include "base/str.h"
#include "base/utf8.h"
#include "broker/port/internal.h"
#include "envelope/reserved.h"
#include "envelope/topic.h"

static void answer(const port *p, uint64_t request, loom_status st, const char *text)
{
    port_say(p, &(frame){.type = FRAME_ACK, .u.outcome = {
        .request = request,
        .status = (uint64_t)st,
        .text = {text, strlen(text)},
    }});
}

static uint32_t cut(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* ---- subscriptions ---- */

static loom_status subscribe(port *p, const frame_subscribe *f, char cuts[EVENTBUS_CUTS_SIZE], const char **reason)
{
    loom_status st = loom_filter_check(f->filter, reason);
    if (st != LOOM_OK) {
        return st;
    }
    if (f->qos >= LOOM_QOS_COUNT) {
        *reason = "qos is not known";
        return LOOM_EINVAL;
    }
    if (f->group.len > 0 && topic_name_check(f->group, NULL) != LOOM_OK) {
        *reason = "the name of the group is not one segment of a topic";
        return LOOM_EINVAL;
    }
    const eventbus_subscription_options options = {
        .filter = f->filter,
        .group = f->group,
        .types = f->types,
        .type_count = f->type_count,
        .qos = (loom_qos)f->qos,
        .queue_messages = cut(f->queue_messages),
        .queue_bytes = cut(f->queue_bytes),
        .deadline_ms = cut(f->deadline_ms),
    };
    st = eventbus_subscribe(p->subscriber, f->subscription, &options);
    *reason = st == LOOM_EFULL    ? eventbus_subscribe_limit(p->subscriber, &options)
              : st == LOOM_EINVAL ? "the other members of the group have another qos or other types"
                                  : loom_status_text(st);
    if (st == LOOM_OK) {
        eventbus_subscribe_cuts(p->subscriber, &options, cuts);
    }
    return st;
}

void port_subscribe(port *p, const frame_subscribe *f)
{
    const char *reason;
    char cuts[EVENTBUS_CUTS_SIZE];
    const loom_status st = subscribe(p, f, cuts, &reason);
    answer(p, f->request, st, st == LOOM_OK ? cuts : reason);
}

void port_unsubscribe(port *p, const frame_unsubscribe *f)
{
    const loom_status st = eventbus_unsubscribe(p->subscriber, f->subscription);
    answer(p, f->request, st, st == LOOM_OK ? "" : "no such subscription");
}

/* ---- capabilities ---- */

static const char *why_not_provided(const port *p, const action_capability *c, loom_status st)
{
    const char *reason = NULL;
    switch (st) {
    case LOOM_EINVAL:
        return loom_topic_check(c->name, &reason) != LOOM_OK ? reason : "kind is not tool, agent or plain";
    case LOOM_ETOOBIG:
        return loom_topic_check(c->name, &reason) != LOOM_OK ? reason : "a field is over its limit";
    case LOOM_EFULL: return action_provide_limit(p->party, c);
    default: return loom_status_text(st);
    }
}

/* Everybody lists what somebody provides, mostly as JSON, so all of it has to be text. NULL: it is. */
static const char *not_utf8(const frame_provide *f, const loom_header *metadata, size_t count)
{
    const struct {
        loom_str text;
        const char *fault;
    } texts[] = {
        {f->version, "version is not UTF-8"},
        {f->description, "description is not UTF-8"},
        {f->input_schema, "input_schema is not UTF-8"},
        {f->output_schema, "output_schema is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!utf8_valid(texts[i].text)) {
            return texts[i].fault;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!utf8_valid(metadata[i].key) || !utf8_valid(metadata[i].value)) {
            return "metadata is not UTF-8";
        }
    }
    return NULL;
}

static loom_status provide(port *p, const frame_provide *f, const char **reason)
{
    loom_header metadata[FRAME_METADATA_MAX];
    size_t count = 0;
    if (broker_name_reserved(f->name)) {
        *reason = "capabilities under system. are the broker's";
        return LOOM_EDENIED;
    }
    loom_status st = f->metadata.len > 0 ? frame_metadata_read(f->metadata, metadata, FRAME_METADATA_MAX, &count) : LOOM_OK;
    if (st != LOOM_OK) {
        *reason = st == LOOM_ETOOBIG ? "metadata has too many entries" : "metadata is not a map of strings";
        return st;
    }
    if ((*reason = not_utf8(f, metadata, count)) != NULL) {
        return LOOM_EINVAL;
    }
    const action_capability capability = {
        .name = f->name,
        .version = f->version,
        .description = f->description,
        .kind = f->kind,
        .input_schema = f->input_schema,
        .output_schema = f->output_schema,
        .metadata = metadata,
        .metadata_count = count,
    };
    st = action_provide(p->party, &capability);
    *reason = why_not_provided(p, &capability, st);
    return st;
}

void port_provide(port *p, const frame_provide *f)
{
    const char *reason = "no such capability";
    const loom_status st = f->withdraw ? action_withdraw(p->party, f->name, f->version) : provide(p, f, &reason);
    answer(p, f->request, st, st == LOOM_OK ? "" : reason);
    if (st == LOOM_OK) {
        directory_tell_capability(p->entry, f->withdraw ? "capability.withdrawn" : "capability.provided", f->name,
                                  f->version.len > 0 ? f->version : str_of("0"),
                                  f->withdraw ? str_of("") : f->kind.len > 0 ? f->kind : str_of("plain"));
    }
}
