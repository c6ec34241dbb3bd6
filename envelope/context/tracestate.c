/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/tracestate.h>
#include <string.h>

#include "base/last_error.h"
#include "base/str.h"

/* Members longer than this are the first to go when space runs out (3.3.1.5). */
enum { LONG_MEMBER = 128 };

/* A checked tracestate: its non-empty members, as slices of the text. */
typedef struct tracestate {
    loom_tracestate_member members[LOOM_TRACESTATE_MAX_MEMBERS];
    size_t count;
} tracestate;

static bool key_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_char(char c)
{
    return key_start(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

bool loom_tracestate_key_valid(loom_str key)
{
    if (key.len == 0 || key.len > LOOM_TRACESTATE_MAX_KEY || !key_start(key.data[0])) {
        return false;
    }
    for (size_t i = 1; i < key.len; i++) {
        if (!key_char(key.data[i])) {
            return false;
        }
    }
    return true;
}

bool loom_tracestate_value_valid(loom_str value)
{
    if (value.len == 0 || value.len > LOOM_TRACESTATE_MAX_VALUE || value.data[value.len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.data[i];
        if (c < 0x20 || c > 0x7e || c == ',' || c == '=') {
            return false;
        }
    }
    return true;
}

loom_status loom_tracestate_next(loom_str *rest, loom_tracestate_member *out)
{
    if (rest == NULL || out == NULL) {
        return last_error_null(rest == NULL ? "rest" : "the place for the member");
    }
    *out = (loom_tracestate_member){0};
    for (loom_str item; str_next_item(rest, ',', &item);) {
        item = str_trim(item);
        if (item.len == 0) {
            continue;
        }
        const char *equals = memchr(item.data, '=', item.len);
        const size_t key_len = equals == NULL ? item.len : (size_t)(equals - item.data);
        const loom_str key = {.data = item.data, .len = key_len};
        if (equals != NULL && loom_tracestate_key_valid(key)) {
            const loom_str value = {.data = equals + 1, .len = item.len - key_len - 1};
            if (loom_tracestate_value_valid(value)) {
                *out = (loom_tracestate_member){.key = key, .value = value};
                return LOOM_OK;
            }
        }
        *rest = (loom_str){.data = NULL, .len = 0};
        return LOOM_EMALFORMED;
    }
    return LOOM_ENOTFOUND;
}

static const loom_tracestate_member *find(const tracestate *state, loom_str key)
{
    for (size_t i = 0; i < state->count; i++) {
        if (str_equal(state->members[i].key, key)) {
            return &state->members[i];
        }
    }
    return NULL;
}

static loom_status read_members(tracestate *out, loom_str text)
{
    out->count = 0;
    loom_tracestate_member member;
    loom_status status;
    while ((status = loom_tracestate_next(&text, &member)) == LOOM_OK) {
        if (find(out, member.key) != NULL) {
            continue; /* the leftmost was written last */
        }
        if (out->count == LOOM_TRACESTATE_MAX_MEMBERS) {
            return LOOM_EMALFORMED;
        }
        out->members[out->count++] = member;
    }
    return status == LOOM_ENOTFOUND ? LOOM_OK : status;
}

loom_status loom_tracestate_check(loom_str text)
{
    tracestate state;
    return read_members(&state, text);
}

loom_status loom_tracestate_get(loom_str *value, loom_str text, loom_str key)
{
    if (value == NULL) {
        return last_error_null("the place for the value");
    }
    *value = (loom_str){0};
    tracestate state;
    const loom_status status = read_members(&state, text);
    if (status != LOOM_OK) {
        return status;
    }
    const loom_tracestate_member *member = find(&state, key);
    if (member == NULL) {
        return LOOM_ENOTFOUND;
    }
    *value = member->value;
    return LOOM_OK;
}

static size_t member_size(const loom_tracestate_member *member)
{
    return member->key.len + 1 + member->value.len;
}

/* Bytes of the list as it is written, commas included. */
static size_t state_size(const tracestate *state)
{
    size_t size = state->count > 0 ? state->count - 1 : 0;
    for (size_t i = 0; i < state->count; i++) {
        size += member_size(&state->members[i]);
    }
    return size;
}

static void remove_at(tracestate *state, size_t index)
{
    state->count--;
    memmove(&state->members[index], &state->members[index + 1], (state->count - index) * sizeof state->members[0]);
}

static char *put(char *out, loom_str text)
{
    memcpy(out, text.data, text.len);
    return out + text.len;
}

static loom_status write_members(char *out, size_t capacity, size_t *len, const tracestate *state)
{
    const size_t size = state_size(state);
    if (size > capacity) {
        return LOOM_ETOOBIG;
    }
    for (size_t i = 0; i < state->count; i++) {
        if (i > 0) {
            *out++ = ',';
        }
        out = put(out, state->members[i].key);
        *out++ = '=';
        out = put(out, state->members[i].value);
    }
    *len = size;
    return LOOM_OK;
}

static loom_status begin_writing(const char *out, size_t capacity, size_t *len)
{
    if (len == NULL || (out == NULL && capacity > 0)) {
        return last_error_null(len == NULL ? "len" : "the place for the tracestate");
    }
    *len = 0;
    return LOOM_OK;
}

static int shown(loom_str text)
{
    return (int)(text.len < 64 ? text.len : 64);
}

static loom_status refuse_key(loom_str key)
{
    return last_error(LOOM_EINVAL, "\"%.*s\" is no key of a tracestate: lower-case letters, digits and _-*/@", shown(key),
                      key.data);
}

loom_status loom_tracestate_set(char *out, size_t capacity, size_t *len, loom_str text, loom_str key, loom_str value)
{
    loom_status st = begin_writing(out, capacity, len);
    if (st != LOOM_OK || !loom_tracestate_key_valid(key)) {
        return st != LOOM_OK ? st : refuse_key(key);
    }
    if (!loom_tracestate_value_valid(value)) {
        return last_error(LOOM_EINVAL, "the value of tracestate member \"%.*s\" is not 1 to %d printable ASCII characters "
                          "without comma and '='", shown(key), key.data, LOOM_TRACESTATE_MAX_VALUE);
    }
    tracestate state;
    const loom_status status = read_members(&state, text);
    if (status != LOOM_OK) {
        return status;
    }
    const loom_tracestate_member *old = find(&state, key);
    /* The place of the old member, or else a new one at the end: what lies left of it moves right by one. */
    size_t moved = state.count;
    if (old != NULL) {
        moved = (size_t)(old - state.members);
    } else if (state.count == LOOM_TRACESTATE_MAX_MEMBERS) {
        moved = state.count - 1;
    } else {
        state.count++;
    }
    memmove(&state.members[1], &state.members[0], moved * sizeof state.members[0]);
    state.members[0] = (loom_tracestate_member){.key = key, .value = value};
    return write_members(out, capacity, len, &state);
}

loom_status loom_tracestate_remove(char *out, size_t capacity, size_t *len, loom_str text, loom_str key)
{
    loom_status st = begin_writing(out, capacity, len);
    if (st != LOOM_OK || !loom_tracestate_key_valid(key)) {
        return st != LOOM_OK ? st : refuse_key(key);
    }
    tracestate state;
    const loom_status status = read_members(&state, text);
    if (status != LOOM_OK) {
        return status;
    }
    const loom_tracestate_member *old = find(&state, key);
    if (old != NULL) {
        remove_at(&state, (size_t)(old - state.members));
    }
    return write_members(out, capacity, len, &state);
}

loom_status loom_tracestate_truncate(char *out, size_t capacity, size_t *len, loom_str text, size_t max)
{
    loom_status st = begin_writing(out, capacity, len);
    if (st != LOOM_OK) {
        return st;
    }
    tracestate state;
    const loom_status status = read_members(&state, text);
    if (status != LOOM_OK) {
        return status;
    }
    for (size_t i = state.count; i-- > 0 && state_size(&state) > max;) {
        if (member_size(&state.members[i]) > LONG_MEMBER) {
            remove_at(&state, i);
        }
    }
    while (state.count > 0 && state_size(&state) > max) {
        state.count--;
    }
    return write_members(out, capacity, len, &state);
}
