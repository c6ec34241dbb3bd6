/* SPDX-License-Identifier: Apache-2.0 */
/* What is new in an answer of the broker's: lists of rows become objects, each row under its name, so that a row that has
 * changed is told by itself; the difference of two such answers is a JSON merge patch (RFC 7396). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tools/loom/view/internal.h"

enum { KEY_PARTS = 4, KEY_SIZE = 2048, LISTS = 2, HEARD_MS = 1000 };

typedef struct row_list {
    const char *name;
    const char *key[KEY_PARTS]; /* members that name a row, ended by NULL */
} row_list;

static const row_list lists[VIEW_BUS_KINDS][LISTS + 1] = {
    [VIEW_BUS_AGENTS] = {{"agents", {"agent"}}},
    [VIEW_BUS_CAPABILITIES] = {{"capabilities", {"name", "version"}}},
    [VIEW_BUS_TOPICS] = {{"topics", {"topic"}}},
    [VIEW_BUS_FLOW] = {{"edges", {"kind", "agent", "name", "other"}}},
    [VIEW_BUS_STATS] = {{"subscriptions", {"subscriber", "id"}}, {"topics", {"topic"}}},
};

/* Every part ends with a space, so that no name is one that scripts know. */
static void name_row(char out[KEY_SIZE], const row_list *list, const json_t *row)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < KEY_PARTS && list->key[i] != NULL && len < KEY_SIZE; i++) {
        const json_t *part = json_object_get(row, list->key[i]);
        const int more = json_is_integer(part) ? snprintf(out + len, KEY_SIZE - len, "%lld ", (long long)json_integer_value(part))
                                               : snprintf(out + len, KEY_SIZE - len, "%s ", json_is_string(part) ? json_string_value(part) : "");
        len += more > 0 ? (size_t)more : 0;
    }
}

/* When an agent was heard, instead of how long ago that is: what stands still is no news. */
static json_t *with_time(json_t *row, const json_t *before, int64_t now_ms)
{
    const json_t *ago = json_object_get(row, "heard_ms_ago"), *was = json_object_get(before, "heard_unix_ms");
    if (!json_is_integer(ago)) {
        return json_incref(row);
    }
    const int64_t at = now_ms - json_integer_value(ago);
    const int64_t moved = at - json_integer_value(was);
    json_t *copy = json_copy(row);
    json_object_del(copy, "heard_ms_ago");
    json_object_set_new(copy, "heard_unix_ms", json_integer(was != NULL && moved > -HEARD_MS && moved < HEARD_MS ? json_integer_value(was) : at));
    return copy;
}

json_t *view_news_keyed(view_bus_kind kind, const json_t *answer, const json_t *before, int64_t now_ms)
{
    json_t *whole = json_copy((json_t *)(uintptr_t)answer);
    for (const row_list *list = lists[kind]; list->name != NULL; list++) {
        json_t *rows = json_object_get(answer, list->name), *row, *by_name = json_object();
        const json_t *rows_before = json_object_get(before, list->name);
        size_t i;
        json_array_foreach(rows, i, row) {
            char name[KEY_SIZE];
            name_row(name, list, row);
            json_object_set_new(by_name, name, with_time(row, json_object_get(rows_before, name), now_ms));
        }
        json_object_set_new(whole, list->name, by_name);
    }
    return whole;
}

json_t *view_news_patch(const json_t *was, const json_t *now)
{
    json_t *patch = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)now, name, value) {
        const json_t *before = json_object_get(was, name);
        if (before == NULL || !json_equal(before, value)) {
            json_object_set_new(patch, name, json_is_object(value) && json_is_object(before) ? view_news_patch(before, value) : json_incref(value));
        }
    }
    json_object_foreach((json_t *)(uintptr_t)was, name, value) {
        if (json_object_get(now, name) == NULL) {
            json_object_set_new(patch, name, json_null());
        }
    }
    return patch;
}
