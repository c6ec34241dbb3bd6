/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/events/subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "envelope/topic.h"

loom_status subscription_check(const char *filter, const loom_subscribe_options *options, const char **reason)
{
    *reason = "it is missing";
    if (filter == NULL) {
        return LOOM_EINVAL;
    }
    loom_status st = loom_filter_check(str_of(filter), reason);
    if (st != LOOM_OK || options == NULL) {
        return st == LOOM_OK ? st : LOOM_EINVAL;
    }
    if ((unsigned)options->qos >= LOOM_QOS_COUNT) {
        *reason = "there is no such qos";
        return LOOM_EINVAL;
    }
    if (options->group != NULL && topic_name_check(str_of(options->group), NULL) != LOOM_OK) {
        *reason = "the name of its group is not one segment of a topic of up to 128 bytes";
        return LOOM_EINVAL;
    }
    for (size_t i = 0; options->types != NULL && options->types[i] != NULL; i++) {
        size_t len = strlen(options->types[i]);
        if (i == FRAME_TYPES_MAX || len == 0 || len > LOOM_TYPE_MAX) {
            *reason = i == FRAME_TYPES_MAX ? "it names more than 16 types" : "a type is empty or over 128 bytes";
            return LOOM_EINVAL;
        }
    }
    return LOOM_OK;
}

static void subscription_free(subscription *sub)
{
    for (uint32_t i = 0; i < sub->type_count; i++) {
        free(sub->types[i]);
    }
    free(sub->group);
    free(sub);
}

void subscriptions_fini(subscriptions *s)
{
    for (size_t i = 0; i < s->count; i++) {
        subscription_free(s->items[i]);
    }
    free(s->items);
    *s = (subscriptions){0};
}

static subscription *subscription_create(const char *filter, const loom_subscribe_options *options)
{
    size_t size = strlen(filter) + 1;
    subscription *sub = calloc(1, sizeof *sub + size);
    if (sub == NULL) {
        return NULL;
    }
    memcpy(sub->filter, filter, size);
    if (options == NULL) {
        return sub;
    }
    sub->qos = options->qos;
    sub->queue_messages = options->queue_messages;
    sub->queue_bytes = options->queue_bytes;
    sub->deadline_ms = options->deadline_ms;
    if (options->group != NULL && (sub->group = strdup(options->group)) == NULL) {
        subscription_free(sub);
        return NULL;
    }
    for (; options->types != NULL && options->types[sub->type_count] != NULL; sub->type_count++) {
        sub->types[sub->type_count] = strdup(options->types[sub->type_count]);
        if (sub->types[sub->type_count] == NULL) {
            subscription_free(sub);
            return NULL;
        }
    }
    return sub;
}

loom_status subscriptions_add(subscriptions *s, subscription **out, const char *filter,
                              const loom_subscribe_options *options, loom_on_event on_event, void *user)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity > 0 ? s->capacity * 2 : 8;
        subscription **items = realloc(s->items, capacity * sizeof *items);
        if (items == NULL) {
            return LOOM_ENOMEM;
        }
        s->items = items;
        s->capacity = capacity;
    }
    subscription *sub = subscription_create(filter, options);
    if (sub == NULL) {
        return LOOM_ENOMEM;
    }
    bool own = options != NULL && options->on_event != NULL;
    sub->on_event = own ? options->on_event : on_event;
    sub->user = own ? options->user : user;
    sub->number = ++s->last_number;
    s->items[s->count++] = sub;
    *out = sub;
    return LOOM_OK;
}

/* Where the number is, or would be. */
static size_t position(const subscriptions *s, uint64_t number)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->items[middle]->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

subscription *subscriptions_find(const subscriptions *s, uint64_t number)
{
    size_t at = position(s, number);
    return at < s->count && s->items[at]->number == number ? s->items[at] : NULL;
}

bool subscriptions_remove(subscriptions *s, uint64_t number)
{
    size_t at = position(s, number);
    if (at == s->count || s->items[at]->number != number) {
        return false;
    }
    subscription_free(s->items[at]);
    memmove(&s->items[at], &s->items[at + 1], (s->count - at - 1) * sizeof *s->items);
    s->count--;
    return true;
}

void subscriptions_forget_answers(subscriptions *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->items[i]->answered = false;
    }
}

void subscription_answered(subscription *sub, loom_status answer)
{
    sub->answered = true;
    sub->answer = answer;
}

bool subscriptions_answered(const subscriptions *s, uint64_t last_number, loom_status *answer)
{
    *answer = LOOM_OK;
    for (size_t i = 0; i < s->count && s->items[i]->number <= last_number; i++) {
        const subscription *sub = s->items[i];
        if (!sub->answered) {
            return false;
        }
        if (*answer == LOOM_OK && !sub->internal) {
            *answer = sub->answer;
        }
    }
    return true;
}

loom_status subscription_put(const subscription *sub, frame_writer *w, uint64_t request)
{
    frame_subscribe f = {.request = request,
                         .subscription = sub->number,
                         .filter = {sub->filter, strlen(sub->filter)},
                         .group = str_of(sub->group),
                         .type_count = sub->type_count,
                         .qos = sub->qos,
                         .queue_messages = sub->queue_messages,
                         .queue_bytes = sub->queue_bytes,
                         .deadline_ms = sub->deadline_ms};
    for (uint32_t i = 0; i < sub->type_count; i++) {
        f.types[i] = str_of(sub->types[i]);
    }
    return frame_put_subscribe(w, &f);
}
