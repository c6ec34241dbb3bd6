/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/otlp_count.h"

#include <stdbool.h>

/* Field numbers on the way down: resource_spans, scope_spans, spans. */
static const uint64_t path[] = {1, 2, 2};

enum { DEPTH = sizeof path / sizeof path[0], WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const uint8_t byte = *(*at)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct visitor {
    void (*span)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE]); /* NULL: nobody asks */
    void *user;
} visitor;

/* One Span: its first field is the trace's id, in what every SDK writes. */
static void tell(const visitor *v, const uint8_t *at, size_t len)
{
    enum { TRACE_ID_TAG = 1 << 3 | WIRE_LEN };
    if (v->span != NULL && len >= 2 + LOOM_TRACE_ID_SIZE && at[0] == TRACE_ID_TAG && at[1] == LOOM_TRACE_ID_SIZE) {
        v->span(v->user, at + 2);
    }
}

static uint64_t count_at(const uint8_t *at, const uint8_t *end, unsigned depth, const visitor *v)
{
    uint64_t found = 0, tag, len, value;
    while (at < end && varint(&at, end, &tag)) {
        switch (tag & 7) {
        case WIRE_VARINT:
            len = 0;
            if (!varint(&at, end, &value)) {
                return found;
            }
            break;
        case WIRE_I64:
            len = 8;
            break;
        case WIRE_I32:
            len = 4;
            break;
        case WIRE_LEN:
            if (!varint(&at, end, &len)) {
                return found;
            }
            break;
        default:
            return found;
        }
        if (len > (uint64_t)(end - at)) {
            return found;
        }
        if ((tag & 7) == WIRE_LEN && tag >> 3 == path[depth]) {
            if (depth + 1 == DEPTH) {
                tell(v, at, len);
                found++;
            } else {
                found += count_at(at, at + len, depth + 1, v);
            }
        }
        at += len;
    }
    return found;
}

uint64_t otlp_span_count(const uint8_t *data, size_t size)
{
    return otlp_span_visit(data, size, NULL, NULL);
}

uint64_t otlp_span_visit(const uint8_t *data, size_t size, void (*span)(void *user, const uint8_t id[LOOM_TRACE_ID_SIZE]), void *user)
{
    return count_at(data, data + size, 0, &(visitor){span, user});
}
