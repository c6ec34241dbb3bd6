/* SPDX-License-Identifier: Apache-2.0 */
/* Carriers made of name and value pairs: a list of headers, and the headers of a message. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/carrier/fields.h"

enum { CAPACITY_FIRST = 8 };

/* ---- a list ---- */

static size_t list_get(void *user, const char *name, loom_str *values, size_t max)
{
    const loom_headers *list = user;
    size_t found = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (str_is_any_case(list->items[i].key, name)) {
            if (found < max) {
                values[found] = list->items[i].value;
            }
            found++;
        }
    }
    return found;
}

static void list_keys(void *user, bool (*visit)(void *to, loom_str name), void *to)
{
    const loom_headers *list = user;
    for (size_t i = 0; i < list->count && visit(to, list->items[i].key); i++) {
    }
}

/* One block holds both, the key in front. */
static bool copy_pair(loom_header *out, loom_str key, loom_str value)
{
    char *text = malloc(key.len + value.len + 2);
    if (text == NULL) {
        return false;
    }
    char *second = text + key.len + 1;
    if (key.len > 0) {
        memcpy(text, key.data, key.len);
    }
    if (value.len > 0) {
        memcpy(second, value.data, value.len);
    }
    text[key.len] = second[value.len] = '\0';
    *out = (loom_header){{text, key.len}, {second, value.len}};
    return true;
}

static void free_pair(const loom_header *pair)
{
    free((char *)(uintptr_t)pair->key.data);
}

/* What an owned list is: its array is from here. */
static loom_header *owned(const loom_headers *list)
{
    return (loom_header *)(uintptr_t)list->items;
}

/* Makes the list its own, if it is not, and room for one more. */
static bool make_room(loom_headers *list)
{
    if (list->capacity > list->count) {
        return true;
    }
    size_t capacity = list->count < CAPACITY_FIRST ? CAPACITY_FIRST : list->count * 2;
    loom_header *items = list->capacity > 0 ? realloc(owned(list), capacity * sizeof *items) : malloc(capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; list->capacity == 0 && i < list->count; i++) {
        if (!copy_pair(&items[i], list->items[i].key, list->items[i].value)) {
            while (i > 0) {
                free_pair(&items[--i]);
            }
            free(items);
            return false;
        }
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

static void remove_all(loom_headers *list, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (str_is_any_case(list->items[i].key, name)) {
            free_pair(&list->items[i]);
        } else {
            owned(list)[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

static loom_status list_set(void *user, const char *name, loom_str value)
{
    loom_headers *list = user;
    loom_header pair;
    if (value.data == NULL && list_get(list, name, NULL, 0) == 0) {
        return LOOM_OK;
    }
    if (!make_room(list) || (value.data != NULL && !copy_pair(&pair, str_of(name), value))) {
        return LOOM_ENOMEM;
    }
    remove_all(list, name);
    if (value.data != NULL) {
        owned(list)[list->count++] = pair;
    }
    return LOOM_OK;
}

loom_carrier loom_headers_carrier(loom_headers *list)
{
    return (loom_carrier){.get = list_get, .set = list_set, .keys = list_keys, .user = list};
}

void loom_headers_fini(loom_headers *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; list->capacity > 0 && i < list->count; i++) {
        free_pair(&list->items[i]);
    }
    if (list->capacity > 0) {
        free(owned(list));
    }
    *list = (loom_headers){0};
}

/* ---- a message ---- */

typedef struct header_search {
    const char *name;
    loom_str *values;
    size_t max, found;
} header_search;

static bool consider(void *user, loom_header header)
{
    header_search *search = user;
    if (str_is_any_case(header.key, search->name)) {
        if (search->found < search->max) {
            search->values[search->found] = header.value;
        }
        search->found++;
    }
    return true;
}

static size_t message_get(void *user, const char *name, loom_str *values, size_t max)
{
    header_search search = {name, values, max, 0};
    loom_envelope_headers(user, consider, &search);
    return search.found;
}

typedef struct key_visit {
    bool (*visit)(void *to, loom_str name);
    void *to;
} key_visit;

static bool visit_key(void *user, loom_header header)
{
    const key_visit *v = user;
    return v->visit(v->to, header.key);
}

static void message_keys(void *user, bool (*visit)(void *to, loom_str name), void *to)
{
    loom_envelope_headers(user, visit_key, &(key_visit){visit, to});
}

loom_carrier loom_envelope_carrier(const loom_envelope *env)
{
    return (loom_carrier){.get = message_get, .keys = message_keys, .user = (void *)(uintptr_t)env};
}
