/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites at the first hop: envelopes of other languages into the fixed form, and the sender's stamp. */
#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

static uint8_t *put_prefix(uint8_t *out, uint32_t count, const loom_trace_context *ctx, uint8_t ttl)
{
    static const uint8_t fixed[HOP_OFFSET] = {MP_ARRAY16, 0, 0, ENVELOPE_VERSION, MP_EXT8, HOP_SIZE, HOP_EXT_TYPE};
    memcpy(out, fixed, sizeof fixed);
    out[1] = (uint8_t)(count >> 8);
    out[2] = (uint8_t)count;
    hop_patch(out, ctx);
    hop_set_ttl(out, ttl);
    return out + ENVELOPE_PREFIX_SIZE;
}

uint32_t envelope_normalise(uint8_t *out, const envelope_view *view, uint8_t ttl, bool *invalid)
{
    loom_trace_context ctx = {{0}, {0}, 0};
    loom_bytes hop = envelope_view_bytes(view, ENV_HOP);
    mp_reader r = {view->data, view->data + view->len};
    uint32_t count = ENVELOPE_FIELDS;
    uint64_t version;

    *invalid = false;
    if (hop.len == HOP_SIZE && hop.data[-1] == HOP_EXT_TYPE && hop.data[-2] == HOP_SIZE) { /* right, but elsewhere */
        hop_read(hop.data - HOP_OFFSET, &ctx);
        ttl = hop_ttl(hop.data - HOP_OFFSET);
    } else if (hop.len > 0) {
        *invalid = loom_traceparent_parse(&ctx, (loom_str){(const char *)hop.data, hop.len}) != LOOM_OK;
    }
    /* the scan has shown these three to be well-formed */
    (void)mp_read_array(&r, &count);
    (void)mp_read_uint(&r, &version);
    (void)mp_skip(&r, 0);
    uint8_t *p = put_prefix(out, count, &ctx, ttl);
    p = mp_put_raw(p, r.at, (size_t)(r.end - r.at));
    return (uint32_t)(p - out);
}

uint32_t envelope_with_sender(uint8_t *out, const envelope_view *view, loom_str sender)
{
    mp_reader r = {view->data, view->data + view->len};
    uint32_t count;
    (void)mp_read_array(&r, &count);
    for (unsigned f = 0; f < ENV_SENDER; f++) {
        (void)mp_skip(&r, 0);
    }
    uint8_t *p = mp_put_raw(out, view->data, (size_t)(r.at - view->data));
    p = mp_put_str_or_nil(p, sender);
    (void)mp_skip(&r, 0);
    p = mp_put_raw(p, r.at, (size_t)(r.end - r.at));
    return (uint32_t)(p - out);
}
