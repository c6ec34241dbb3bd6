/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/bus_message.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope/msgpack_bytes.h"

enum { MAGIC_0 = 0xc1, MAGIC_1 = 'L' }; /* c1 begins no msgpack value, so no message is an envelope and none a header */
enum { FANOUT_HEADER_SIZE = FRAME_HEADER_SIZE + 1 + 1 + 5, TARGETS_HEADER_SIZE = 5, TARGET_MAX = 18 };

/* ---- header ---- */

bool bus_bridge_id_valid(loom_str id)
{
    if (id.len == 0 || id.len > BUS_BRIDGE_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (id.data[i] <= ' ' || id.data[i] > '~') {
            return false;
        }
    }
    return true;
}

size_t bus_topic_write(uint8_t out[BUS_TOPIC_MAX], loom_str id)
{
    size_t prefix = sizeof BUS_TOPIC_PREFIX - 1;
    memcpy(out, BUS_TOPIC_PREFIX, prefix);
    mp_put_raw(out + prefix, id.data, id.len);
    out[prefix + id.len] = 0;
    return prefix + id.len + 1;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    mp_store32(p, (uint32_t)(v >> 32));
    mp_store32(p + 4, (uint32_t)v);
    return p + 8;
}

size_t bus_header_write(uint8_t *out, const bus_header *header)
{
    uint8_t *p = out;
    *p++ = MAGIC_0;
    *p++ = MAGIC_1;
    *p++ = BUS_PROTOCOL;
    *p++ = header->flags;
    p = put64(p, header->epoch);
    p = put64(p, header->seq);
    p = put64(p, header->ack);
    *p++ = (uint8_t)header->bridge.len;
    return (size_t)(mp_put_raw(p, header->bridge.data, header->bridge.len) - out);
}

loom_status bus_header_read(bus_header *out, loom_bytes message, loom_bytes *frames, const char **reason)
{
    const uint8_t *p = message.data;
    if (message.len < 3 || p[0] != MAGIC_0 || p[1] != MAGIC_1) {
        *reason = "does not begin like a message of the bridge bus";
        return LOOM_EMALFORMED;
    }
    if (p[2] != BUS_PROTOCOL) {
        *reason = "protocol version of the bridge bus is not supported";
        return LOOM_EVERSION;
    }
    if (message.len < BUS_HEADER_FIXED || message.len < (size_t)BUS_HEADER_FIXED + p[BUS_HEADER_FIXED - 1]) {
        *reason = "header is cut short";
        return LOOM_EMALFORMED;
    }
    *out = (bus_header){.flags = p[3], .epoch = mp_load64(p + 4), .seq = mp_load64(p + 12), .ack = mp_load64(p + 20)};
    size_t id_len = p[BUS_HEADER_FIXED - 1];
    out->bridge = (loom_str){(const char *)p + BUS_HEADER_FIXED, id_len};
    if (id_len > 0 && !bus_bridge_id_valid(out->bridge)) {
        *reason = "bridge id is not valid";
        return LOOM_EMALFORMED;
    }
    *frames = (loom_bytes){p + BUS_HEADER_FIXED + id_len, message.len - BUS_HEADER_FIXED - id_len};
    return LOOM_OK;
}

/* ---- reading frames ---- */

static loom_status read_own(bus_frame *out, mp_reader *r, char reason[FRAME_REASON_SIZE])
{
    uint32_t values;
    switch (out->type) {
    case BUS_FRAME_SESSION:
    case BUS_FRAME_PRESSURE:
        if (mp_read_uint(r, &out->number)) {
            return LOOM_OK;
        }
        break;
    case BUS_FRAME_FANOUT:
        if (mp_read_array(r, &values) && values % 2 == 0) {
            out->fanout = (frame_batch){values / 2, {r->at, (size_t)(r->end - r->at)}};
            return LOOM_OK;
        }
        break;
    default:
        snprintf(reason, FRAME_REASON_SIZE, "frame type %u is not known", out->type);
        return LOOM_EVERSION;
    }
    snprintf(reason, FRAME_REASON_SIZE, "frame of type %u is not well-formed", out->type);
    return LOOM_EMALFORMED;
}

loom_status bus_frame_next(loom_bytes *rest, bus_frame *out, char reason[FRAME_REASON_SIZE])
{
    loom_bytes body;
    size_t need;
    if (rest->len == 0) {
        return LOOM_ENOTFOUND;
    }
    loom_status st = frame_split(*rest, &body, &need);
    if (st != LOOM_OK) {
        snprintf(reason, FRAME_REASON_SIZE, "a frame is %s", st == LOOM_EBUSY ? "cut short" : "of a length out of bounds");
        return st == LOOM_EBUSY ? LOOM_EMALFORMED : st;
    }
    *rest = (loom_bytes){rest->data + need, rest->len - need};
    mp_reader r = {body.data, body.data + body.len};
    uint32_t count;
    uint64_t type;
    if (!mp_read_array(&r, &count) || count < 2 || !mp_read_uint(&r, &type)) {
        snprintf(reason, FRAME_REASON_SIZE, "frame is not a msgpack array that begins with its type");
        return LOOM_EMALFORMED;
    }
    if (type >= BUS_FRAME_SESSION) {
        out->type = type > UINT32_MAX ? UINT32_MAX : (unsigned)type;
        return read_own(out, &r, reason);
    }
    st = frame_decode(&out->link, body, reason);
    out->type = st == LOOM_OK ? (unsigned)out->link.type : (unsigned)type;
    return st;
}

static void advance(loom_bytes *bytes, size_t len)
{
    bytes->data += len;
    bytes->len -= len;
}

loom_status bus_publish_next(frame_batch *batch, envelope_view *view, const char **reason)
{
    if (batch->count == 0) {
        return LOOM_ENOTFOUND;
    }
    loom_status st = envelope_scan(view, batch->items, NULL, reason);
    if (st == LOOM_OK) {
        batch->count--;
        advance(&batch->items, view->len);
    }
    return st;
}

loom_status bus_fanout_next(frame_batch *batch, envelope_view *view, bus_targets *targets, const char **reason)
{
    loom_status st = bus_publish_next(batch, view, reason);
    if (st != LOOM_OK) {
        return st;
    }
    mp_reader r = {batch->items.data, batch->items.data + batch->items.len};
    uint32_t values;
    if (!mp_read_array(&r, &values) || values % 2 != 0) {
        *reason = "targets are not an array of pairs";
        return LOOM_EMALFORMED;
    }
    const uint8_t *first = r.at;
    for (uint32_t i = 0; i < values; i++) { /* every value takes a byte, so this ends with the message at the latest */
        uint64_t number;
        if (!mp_read_uint(&r, &number)) {
            *reason = "a target is not a pair of unsigned integers";
            return LOOM_EMALFORMED;
        }
    }
    *targets = (bus_targets){values / 2, {first, (size_t)(r.at - first)}};
    advance(&batch->items, (size_t)(r.at - batch->items.data));
    return LOOM_OK;
}

bool bus_target_next(bus_targets *targets, uint64_t *session, uint64_t *subscription)
{
    mp_reader r = {targets->items.data, targets->items.data + targets->items.len};
    if (targets->count == 0 || !mp_read_uint(&r, session) || !mp_read_uint(&r, subscription)) {
        return false;
    }
    targets->count--;
    advance(&targets->items, (size_t)(r.at - targets->items.data));
    return true;
}

/* ---- writing ---- */

loom_status bus_put_session(frame_writer *w, uint64_t session)
{
    return frame_put_number(w, (frame_type)BUS_FRAME_SESSION, session);
}

loom_status bus_put_pressure(frame_writer *w, bool on)
{
    return frame_put_number(w, (frame_type)BUS_FRAME_PRESSURE, on ? 1 : 0);
}

loom_status bus_put_raw(frame_writer *w, loom_bytes frames)
{
    frame_writer_seal(w);
    if (!frame_writer_reserve(w, frames.len)) {
        return LOOM_ENOMEM;
    }
    mp_put_raw(w->data + w->len, frames.data, frames.len);
    w->len += frames.len;
    return LOOM_OK;
}

/* The batch fields of the writer are used as its own batches use them, so that frame_writer_seal() closes this one too. */
static void open_fanout(frame_writer *w)
{
    uint8_t *p = w->data + w->len + FRAME_HEADER_SIZE;
    p[0] = MP_FIXARRAY | 2;
    p[1] = BUS_FRAME_FANOUT;
    p[2] = MP_ARRAY32;
    w->batch_at = w->len;
    w->batch_type = (frame_type)BUS_FRAME_FANOUT;
    w->batch_count = 0;
    w->len += FANOUT_HEADER_SIZE;
}

/* Equal bytes are one envelope, whoever asks: comparing them is cheaper than writing them again, and differing ones
 * differ early, in the span id. */
static bool is_last(const frame_writer *w, const bus_fanout *last, const envelope_view *view)
{
    return w->batch_type == (frame_type)BUS_FRAME_FANOUT && w->batch_count > 0 && last->envelope_len == view->len &&
           last->targets < BUS_FANOUT_TARGETS && memcmp(w->data + last->envelope_at, view->data, view->len) == 0;
}

loom_status bus_put_delivery(frame_writer *w, bus_fanout *last, uint64_t session, uint64_t subscription,
                             const envelope_view *view)
{
    if (!is_last(w, last, view)) {
        if (w->batch_type != (frame_type)BUS_FRAME_FANOUT || w->len - w->batch_at > FRAME_BATCH_TARGET) {
            frame_writer_seal(w);
        }
        if (!frame_writer_reserve(w, FANOUT_HEADER_SIZE + view->len + TARGETS_HEADER_SIZE + TARGET_MAX)) {
            return LOOM_ENOMEM;
        }
        if (w->batch_type == 0) {
            open_fanout(w);
        }
        last->envelope_at = w->len;
        last->envelope_len = view->len;
        mp_put_raw(w->data + w->len, view->data, view->len);
        w->len += view->len;
        last->targets_at = w->len;
        last->targets = 0;
        w->data[w->len] = MP_ARRAY32;
        w->len += TARGETS_HEADER_SIZE;
        w->batch_count += 2;
    } else if (!frame_writer_reserve(w, TARGET_MAX)) {
        return LOOM_ENOMEM;
    }
    uint8_t *p = mp_put_uint(w->data + w->len, session);
    p = mp_put_uint(p, subscription);
    w->len = (size_t)(p - w->data);
    last->targets++;
    mp_store32(w->data + last->targets_at + 1, last->targets * 2);
    return LOOM_OK;
}
