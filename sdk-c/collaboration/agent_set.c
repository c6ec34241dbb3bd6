/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/agent_set.h"

#include <stdlib.h>
#include <string.h>

/* As strcmp(). An id from outside may hold anything, but ends where a NUL is. */
static int compare(const char *item, loom_str id)
{
    int order = strncmp(item, id.data, id.len);
    return order != 0 ? order : item[id.len] != '\0';
}

/* Where it is, or would be. */
static bool find(const agent_set *set, loom_str id, size_t *at)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(set->items[middle], id);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *at = low;
    return false;
}

static bool is_id(loom_str id)
{
    return id.len > 0 && id.len <= LOOM_AGENT_ID_MAX && memchr(id.data, '\0', id.len) == NULL;
}

static bool make_room(agent_set *set)
{
    if (set->count < set->capacity) {
        return true;
    }
    size_t capacity = set->capacity > 0 ? set->capacity * 2 : 8;
    char **items = realloc(set->items, capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    set->items = items;
    set->capacity = capacity;
    return true;
}

loom_status agent_set_add(agent_set *set, loom_str id, size_t max)
{
    size_t at;
    if (!is_id(id)) {
        return LOOM_EINVAL;
    }
    if (find(set, id, &at)) {
        return LOOM_EEXIST;
    }
    if (set->count >= max) {
        return LOOM_EFULL;
    }
    char *copy = make_room(set) ? strndup(id.data, id.len) : NULL;
    if (copy == NULL) {
        return LOOM_ENOMEM;
    }
    memmove(set->items + at + 1, set->items + at, (set->count - at) * sizeof *set->items);
    set->items[at] = copy;
    set->count++;
    return LOOM_OK;
}

bool agent_set_remove(agent_set *set, loom_str id)
{
    size_t at;
    if (!is_id(id) || !find(set, id, &at)) {
        return false;
    }
    free(set->items[at]);
    set->count--;
    memmove(set->items + at, set->items + at + 1, (set->count - at) * sizeof *set->items);
    return true;
}

loom_status agent_set_copy(agent_set *out, const agent_set *set)
{
    *out = (agent_set){0};
    if (set->count == 0) {
        return LOOM_OK;
    }
    out->items = malloc(set->count * sizeof *out->items);
    if (out->items == NULL) {
        return LOOM_ENOMEM;
    }
    for (out->capacity = set->count; out->count < set->count; out->count++) {
        out->items[out->count] = strdup(set->items[out->count]);
        if (out->items[out->count] == NULL) {
            agent_set_fini(out);
            return LOOM_ENOMEM;
        }
    }
    return LOOM_OK;
}

void agent_set_fini(agent_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->items[i]);
    }
    free(set->items);
    *set = (agent_set){0};
}
