/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/events/subscriptions.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void subscription_free(subscription *sub)
{
    for (uint32_t i = 0; i < sub->type_count; i++) {
        free(sub->types[i]);
    }
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
    s->unanswered++;
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
    s->unanswered -= !s->items[at]->answered;
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
    s->unanswered = s->count;
}

void subscription_answered(subscriptions *s, subscription *sub, loom_status answer)
{
    s->unanswered -= !sub->answered;
    sub->answered = true;
    sub->answer = answer;
}

loom_status subscription_put(const subscription *sub, frame_writer *w, uint64_t request)
{
    frame_subscribe f = {.request = request,
                         .subscription = sub->number,
                         .filter = {sub->filter, strlen(sub->filter)},
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
