/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/record/kinds.h"

#include "base/str.h"

#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

trace_kind *trace_kinds_get(trace_kinds *kinds, uint32_t number)
{
    for (size_t i = 0; i < kinds->count; i++) {
        if (kinds->items[i].number == number) {
            return &kinds->items[i];
        }
    }
    return NULL;
}

static trace_kind *find_same(trace_kinds *kinds, const trace_kind *what)
{
    for (size_t i = 0; i < kinds->count; i++) {
        if (kinds->items[i].capability == what->capability && strcmp(kinds->items[i].filter, what->filter) == 0) {
            return &kinds->items[i];
        }
    }
    return NULL;
}

loom_status trace_kinds_add(trace_kinds *kinds, const trace_kind *what, uint32_t *number)
{
    trace_kind *kind = find_same(kinds, what);
    if (!loom_filter_valid(str_of(what->filter)) || what->per_second == 0 || what->per_second > KINDS_PER_SECOND_MAX) {
        return LOOM_EINVAL;
    }
    if (kind == NULL && kinds->count == KINDS_MAX) {
        return LOOM_EBUSY;
    }
    if (kind == NULL) {
        kind = &kinds->items[kinds->count++];
        *kind = *what;
        kind->number = ++kinds->last_number;
        kind->paid_ns = kind->kept = kind->limited = 0;
    }
    memcpy(kind->reason, what->reason, sizeof kind->reason);
    kind->per_second = what->per_second;
    kind->until_ns = what->until_ns;
    *number = kind->number;
    return LOOM_OK;
}

static void remove_at(trace_kinds *kinds, size_t at)
{
    kinds->count--;
    memmove(&kinds->items[at], &kinds->items[at + 1], (kinds->count - at) * sizeof kinds->items[0]);
}

bool trace_kinds_remove(trace_kinds *kinds, uint32_t number)
{
    const trace_kind *kind = trace_kinds_get(kinds, number);
    if (kind != NULL) {
        remove_at(kinds, (size_t)(kind - kinds->items));
    }
    return kind != NULL;
}

bool trace_kinds_expire(trace_kinds *kinds, uint64_t now_ns)
{
    const size_t before = kinds->count;
    for (size_t i = kinds->count; i-- > 0;) {
        if (now_ns >= kinds->items[i].until_ns) {
            remove_at(kinds, i);
        }
    }
    return kinds->count < before;
}

trace_kind *trace_kinds_find(trace_kinds *kinds, bool capability, loom_str name)
{
    for (size_t i = 0; i < kinds->count && name.len > 0; i++) {
        trace_kind *kind = &kinds->items[i];
        if (kind->capability == capability && loom_filter_matches(str_of(kind->filter), name)) {
            return kind;
        }
    }
    return NULL;
}

/* Up to a second's worth at once. */
bool trace_kind_take(trace_kind *kind, uint64_t now_ns)
{
    const uint64_t interval = NS_PER_S / kind->per_second, due = kind->paid_ns > now_ns ? kind->paid_ns : now_ns;
    if (due - now_ns > NS_PER_S - interval) {
        kind->limited++;
        return false;
    }
    kind->paid_ns = due + interval;
    kind->kept++;
    return true;
}
