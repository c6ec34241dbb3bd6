/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/encode.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/last_error.h"
#include "envelope/hop.h"
#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"

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

/* SIZE_MAX: one of them is over its limit. */
static size_t options_size(const loom_envelope_fields *f)
{
    const size_t headers = headers_size(f);
    if (f->type.len > LOOM_TYPE_MAX || f->thread_id.len > LOOM_THREAD_ID_MAX || f->correlation_id.len > LOOM_THREAD_ID_MAX ||
        f->reply_to.len > LOOM_TOPIC_MAX || f->content_type.len > LOOM_CONTENT_TYPE_MAX ||
        f->tracestate.len > LOOM_TRACESTATE_MAX || f->baggage.len > LOOM_BAGGAGE_MAX || headers == SIZE_MAX) {
        return SIZE_MAX;
    }
    return f->type.len + f->thread_id.len + f->correlation_id.len + f->reply_to.len + f->content_type.len +
           f->tracestate.len + f->baggage.len + headers;
}

static loom_status __attribute__((cold)) refuse_size(const loom_envelope_fields *f)
{
    const struct {
        const char *what;
        size_t len, max;
    } fields[] = {{"topic", f->topic.len, LOOM_TOPIC_MAX},
                  {"payload", f->payload.len, LOOM_PAYLOAD_MAX},
                  {"sender", f->sender.len, LOOM_AGENT_ID_MAX},
                  {"type", f->type.len, LOOM_TYPE_MAX},
                  {"thread_id", f->thread_id.len, LOOM_THREAD_ID_MAX},
                  {"correlation_id", f->correlation_id.len, LOOM_THREAD_ID_MAX},
                  {"reply_to", f->reply_to.len, LOOM_TOPIC_MAX},
                  {"content_type", f->content_type.len, LOOM_CONTENT_TYPE_MAX},
                  {"tracestate", f->tracestate.len, LOOM_TRACESTATE_MAX},
                  {"baggage", f->baggage.len, LOOM_BAGGAGE_MAX}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].len > fields[i].max) {
            return last_error(LOOM_ETOOBIG, "the %s has %zu bytes, and at most %zu are allowed", fields[i].what,
                              fields[i].len, fields[i].max);
        }
    }
    return last_error(LOOM_ETOOBIG, "the headers take more than %u bytes", LOOM_HEADERS_MAX);
}

loom_status envelope_encode_check(const loom_envelope_fields *f, size_t *size_max)
{
    if (f->topic.len == 0) {
        return last_error(LOOM_EINVAL, "the topic is empty");
    }
    for (size_t i = 0; i < f->header_count; i++) {
        if (f->headers == NULL) {
            return last_error(LOOM_EINVAL, "header_count is set, and headers is NULL");
        }
        if (f->headers[i].key.len == 0) {
            return last_error(LOOM_EINVAL, "header %zu has an empty key", i);
        }
        if (f->headers[i].key.data == NULL || (f->headers[i].value.len > 0 && f->headers[i].value.data == NULL)) {
            return last_error(LOOM_EINVAL, "header %zu has a length and no text", i);
        }
    }
    const bool plain = (f->type.len | f->thread_id.len | f->correlation_id.len | f->reply_to.len | f->content_type.len |
                        f->tracestate.len | f->baggage.len | f->header_count) == 0; /* as most are */
    const size_t options = plain ? 1 : options_size(f);
    if (f->topic.len > LOOM_TOPIC_MAX || f->payload.len > LOOM_PAYLOAD_MAX || f->sender.len > LOOM_AGENT_ID_MAX ||
        options == SIZE_MAX) {
        return refuse_size(f);
    }
    /* the fixed prefix, id, timestamp, creation, and a header of at most three bytes (five: payload) for each field */
    *size_max = ENVELOPE_PREFIX_SIZE + (2 + LOOM_UUID_SIZE) + 9 + (2 + LOOM_SPAN_ID_SIZE) + 9 * 3 + 5 + f->topic.len +
                f->payload.len + f->sender.len + options;
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

/* The fields from thread to headers. Most messages have none of them but the creation context, which is of a fixed size. */
static uint8_t *put_options(uint8_t *p, const loom_envelope_fields *f, loom_str tracestate)
{
    static_assert(LOOM_SPAN_ID_SIZE == sizeof(uint64_t), "a span id is a word");
    static const uint8_t nils[] = {MP_NIL, MP_NIL, MP_NIL, MP_NIL};
    const uint64_t creation = id_word(f->creation_span_id);
    if ((f->thread_id.len | f->correlation_id.len | f->reply_to.len) == 0) {
        memcpy(p, nils, 3);
        p += 3;
    } else {
        p = mp_put_str_or_nil(p, f->thread_id);
        p = mp_put_str_or_nil(p, f->correlation_id);
        p = mp_put_str_or_nil(p, f->reply_to);
    }
    if (creation == 0) {
        *p++ = MP_NIL;
    } else {
        *p++ = MP_BIN8;
        *p++ = LOOM_SPAN_ID_SIZE;
        memcpy(p, &creation, sizeof creation);
        p += sizeof creation;
    }
    if ((tracestate.len | f->baggage.len | f->content_type.len | f->header_count) == 0) {
        memcpy(p, nils, 4);
        return p + 4;
    }
    p = mp_put_str_or_nil(p, tracestate);
    p = mp_put_str_or_nil(p, f->baggage);
    p = mp_put_str_or_nil(p, f->content_type);
    return put_headers(p, f);
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
    if ((id_word(f->id) | id_word(f->id + sizeof(uint64_t))) != 0) {
        memcpy(id, f->id, LOOM_UUID_SIZE);
    } else if (dated) {
        loom_uuid7_generate(id);
    } else {
        loom_uuid7_generate_at(id, timestamp);
    }
    uint8_t *p = out + ENVELOPE_PREFIX_SIZE;
    p = mp_put_str(p, f->topic);
    *p++ = MP_BIN8;
    *p++ = LOOM_UUID_SIZE;
    p = mp_put_raw(p, id, LOOM_UUID_SIZE);
    p = mp_put_str_or_nil(p, f->type);
    p = mp_put_str_or_nil(p, f->sender);
    p = mp_put_uint(p, timestamp);
    p = put_options(p, f, has_context ? f->tracestate : (loom_str){0}); /* it belongs to a context (W3C, 3.3) */
    p = mp_put_bin(p, f->payload.data, f->payload.len);
    return (size_t)(p - out);
}
