/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/encode.h"

#include "base/clock.h"
#include "envelope/hop.h"
#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

static size_t str_size(size_t len)
{
    return len + (len < 32 ? 1u : len <= UINT8_MAX ? 2u : 3u);
}

/* The encoded map, to the byte: what can be written is what scan accepts. SIZE_MAX: over its limit. */
static size_t headers_size(const loom_envelope_fields *f)
{
    size_t size = f->header_count < 16 ? 1 : 3;
    for (size_t i = 0; i < f->header_count; i++) {
        size_t key = f->headers[i].key.len, value = f->headers[i].value.len;
        if (key > LOOM_HEADERS_MAX || value > LOOM_HEADERS_MAX || size > LOOM_HEADERS_MAX) {
            return SIZE_MAX;
        }
        size += str_size(key) + str_size(value);
    }
    return size > LOOM_HEADERS_MAX ? SIZE_MAX : size;
}

loom_status envelope_encode_check(const loom_envelope_fields *f, size_t *size_max)
{
    if (f->topic.len == 0) {
        return LOOM_EINVAL;
    }
    for (size_t i = 0; i < f->header_count; i++) {
        if (f->headers[i].key.len == 0) {
            return LOOM_EINVAL;
        }
    }
    size_t headers = headers_size(f);
    if (f->topic.len > LOOM_TOPIC_MAX || f->payload.len > LOOM_PAYLOAD_MAX || f->type.len > LOOM_TYPE_MAX ||
        f->sender.len > LOOM_AGENT_ID_MAX || f->thread_id.len > LOOM_THREAD_ID_MAX ||
        f->correlation_id.len > LOOM_THREAD_ID_MAX || f->reply_to.len > LOOM_TOPIC_MAX ||
        f->content_type.len > LOOM_CONTENT_TYPE_MAX || f->tracestate.len > LOOM_TRACESTATE_MAX ||
        f->baggage.len > LOOM_BAGGAGE_MAX || headers == SIZE_MAX) {
        return LOOM_ETOOBIG;
    }
    /* the fixed prefix, id, timestamp, creation, and a header of at most three bytes (five: payload) for each field */
    *size_max = ENVELOPE_PREFIX_SIZE + (2 + LOOM_UUID_SIZE) + 9 + (2 + LOOM_SPAN_ID_SIZE) + 9 * 3 + 5 + f->topic.len +
                f->payload.len + f->type.len + f->sender.len + f->thread_id.len + f->correlation_id.len + f->reply_to.len +
                f->content_type.len + f->tracestate.len + f->baggage.len + headers;
    return LOOM_OK;
}

static uint8_t *put_headers(uint8_t *p, const loom_envelope_fields *f)
{
    if (f->header_count == 0) {
        *p++ = MP_NIL;
        return p;
    }
    if (f->header_count < 16) {
        *p++ = (uint8_t)(MP_FIXMAP | f->header_count);
    } else {
        *p++ = MP_MAP16; /* 16 KiB cannot hold more than 16 bits of pairs */
        *p++ = (uint8_t)(f->header_count >> 8);
        *p++ = (uint8_t)f->header_count;
    }
    for (size_t i = 0; i < f->header_count; i++) {
        p = mp_put_str(p, f->headers[i].key);
        p = mp_put_str(p, f->headers[i].value);
    }
    return p;
}

size_t envelope_encode(uint8_t *out, const loom_envelope_fields *f, uint8_t id[LOOM_UUID_SIZE])
{
    static const loom_trace_context none = {{0}, {0}, 0};

    const bool has_context = loom_trace_context_valid(&f->context);
    memcpy(out, hop_usual_prefix, sizeof hop_usual_prefix);
    hop_patch(out, has_context ? &f->context : &none);
    hop_set_ttl(out, f->ttl != 0 ? f->ttl : LOOM_TTL_DEFAULT);
    const bool dated = f->timestamp_unix_ns != 0; /* by the caller, and perhaps long ago */
    const uint64_t timestamp = dated ? f->timestamp_unix_ns : clock_unix_ns();
    if (!is_zero(f->id, LOOM_UUID_SIZE)) {
        memcpy(id, f->id, LOOM_UUID_SIZE);
    } else if (dated) {
        loom_uuid7_generate(id);
    } else {
        loom_uuid7_generate_at(id, timestamp);
    }
    uint8_t *p = out + ENVELOPE_PREFIX_SIZE;
    p = mp_put_str(p, f->topic);
    p = mp_put_bin(p, id, LOOM_UUID_SIZE);
    p = mp_put_str_or_nil(p, f->type);
    p = mp_put_str_or_nil(p, f->sender);
    p = mp_put_uint(p, timestamp);
    p = mp_put_str_or_nil(p, f->thread_id);
    p = mp_put_str_or_nil(p, f->correlation_id);
    p = mp_put_str_or_nil(p, f->reply_to);
    if (is_zero(f->creation_span_id, LOOM_SPAN_ID_SIZE)) {
        *p++ = MP_NIL;
    } else {
        p = mp_put_bin(p, f->creation_span_id, LOOM_SPAN_ID_SIZE);
    }
    p = mp_put_str_or_nil(p, has_context ? f->tracestate : (loom_str){0}); /* it belongs to a context (W3C, 3.3) */
    p = mp_put_str_or_nil(p, f->baggage);
    p = mp_put_str_or_nil(p, f->content_type);
    p = put_headers(p, f);
    p = mp_put_bin(p, f->payload.data, f->payload.len);
    return (size_t)(p - out);
}
