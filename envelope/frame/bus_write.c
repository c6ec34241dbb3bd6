/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/frame/bus_message.h"

#include "envelope/msgpack_bytes.h"

enum { FANOUT_HEADER_SIZE = FRAME_HEADER_SIZE + 1 + 1 + 5, TARGETS_HEADER_SIZE = 5, TARGET_MAX = 18 };

/* The frame [type, …values - 1 more], which takes up to size bytes after its type. NULL: out of memory. */
static uint8_t *open_frame(frame_writer *w, unsigned type, unsigned values, size_t size)
{
    frame_writer_seal(w);
    if (!frame_writer_reserve(w, FRAME_HEADER_SIZE + 2 + size)) {
        return NULL;
    }
    uint8_t *p = w->data + w->len + FRAME_HEADER_SIZE;
    p[0] = (uint8_t)(MP_FIXARRAY | values);
    p[1] = (uint8_t)type;
    return p + 2;
}

static loom_status close_frame(frame_writer *w, const uint8_t *end)
{
    uint8_t *at = w->data + w->len;
    mp_store32(at, (uint32_t)(end - at) - FRAME_HEADER_SIZE);
    w->len = (size_t)(end - w->data);
    return LOOM_OK;
}

static loom_str cut(loom_str text, size_t max)
{
    return (loom_str){text.data, text.len < max ? text.len : max};
}

enum { UINT_MAX_SIZE = 9, TEXT_HEADER_SIZE = 3, BIN32_HEADER_SIZE = 5, AGE_SIZE = 5, FLAGS_SIZE = 1 };

loom_status bus_put_greeting(frame_writer *w, const bus_greeting *f)
{
    const unsigned values = f->payload_max > 0 || f->ttl > 0 ? 9 : f->parts ? 7 : f->span_credit > 0 ? 6 : f->hold_ms > 0 ? 5 : 4;
    uint8_t *p = open_frame(w, BUS_FRAME_GREETING, values,
                            6 * UINT_MAX_SIZE + 2 * TEXT_HEADER_SIZE + BUS_BRIDGE_ID_MAX + BUS_SOFTWARE_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, f->protocol);
    p = mp_put_str(p, cut(f->id, BUS_BRIDGE_ID_MAX));
    p = mp_put_str(p, cut(f->software, BUS_SOFTWARE_MAX));
    p = values > 4 ? mp_put_uint(p, f->hold_ms) : p;
    p = values > 5 ? mp_put_uint(p, f->span_credit) : p;
    p = values > 6 ? mp_put_uint(p, f->parts) : p;
    return close_frame(w, values > 7 ? mp_put_uint(mp_put_uint(p, f->payload_max), f->ttl) : p);
}

/* Before the last value, and of one size always, so that it can be written over. */
static uint8_t *put_age(uint8_t *p, uint64_t age_ms)
{
    *p++ = 0xce; /* uint32 */
    mp_store32(p, age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX);
    return p + sizeof(uint32_t);
}

loom_status bus_put_attach(frame_writer *w, const bus_attach *f)
{
    uint8_t *p = open_frame(w, BUS_FRAME_ATTACH, 8,
                            UINT_MAX_SIZE + AGE_SIZE + FLAGS_SIZE + 4 * TEXT_HEADER_SIZE + LOOM_AGENT_ID_MAX + BUS_SOFTWARE_MAX + LOOM_UUID_SIZE +
                                BUS_PEER_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_str(p, cut(f->agent, LOOM_AGENT_ID_MAX));
    p = mp_put_str(p, cut(f->software, BUS_SOFTWARE_MAX));
    p = mp_put_bin(p, f->instance.data, f->instance.len == LOOM_UUID_SIZE ? LOOM_UUID_SIZE : 0);
    p = mp_put_uint(p, f->heartbeat_ms);
    p = mp_put_str(p, cut(f->peer, BUS_PEER_MAX));
    p = put_age(p, f->age_ms);
    *p++ = (uint8_t)((f->quiet ? BUS_ATTACH_QUIET : 0) | (f->own ? BUS_ATTACH_OWN : 0) | (f->unrecorded ? BUS_ATTACH_UNRECORDED : 0));
    return close_frame(w, p);
}

void bus_attach_set_age(uint8_t *written, size_t len, uint64_t age_ms)
{
    put_age(written + len - AGE_SIZE - FLAGS_SIZE, age_ms);
}

loom_status bus_put_taken(frame_writer *w, uint64_t envelopes, bool answer, uint64_t queued)
{
    uint8_t *p = open_frame(w, BUS_FRAME_TAKEN, queued > 0 ? 4 : 3, 3 * UINT_MAX_SIZE);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(mp_put_uint(p, envelopes), answer);
    return close_frame(w, queued > 0 ? mp_put_uint(p, queued) : p);
}

loom_status bus_put_pressure(frame_writer *w, bus_pressure how)
{
    uint8_t *p = open_frame(w, BUS_FRAME_PRESSURE, 2, UINT_MAX_SIZE);
    return p != NULL ? close_frame(w, mp_put_uint(p, how)) : LOOM_ENOMEM;
}

loom_status bus_put_mark(frame_writer *w, uint64_t number)
{
    uint8_t *p = open_frame(w, BUS_FRAME_MARK, 2, UINT_MAX_SIZE);
    return p != NULL ? close_frame(w, mp_put_uint(p, number)) : LOOM_ENOMEM;
}

loom_status bus_put_session(frame_writer *w, uint64_t session)
{
    uint8_t *p = open_frame(w, BUS_FRAME_SESSION, 2, UINT_MAX_SIZE);
    return p != NULL ? close_frame(w, mp_put_uint(p, session)) : LOOM_ENOMEM;
}

loom_status bus_put_part_head(frame_writer *w, uint64_t left, size_t len)
{
    uint8_t *p = open_frame(w, BUS_FRAME_PART, 3, UINT_MAX_SIZE + BIN32_HEADER_SIZE);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, left);
    *p++ = MP_BIN32;
    mp_store32(p, (uint32_t)len);
    p += sizeof(uint32_t);
    uint8_t *at = w->data + w->len;
    mp_store32(at, (uint32_t)((size_t)(p - at) + len) - FRAME_HEADER_SIZE);
    w->len = (size_t)(p - w->data);
    return LOOM_OK;
}

loom_status bus_put_give_back(frame_writer *w, uint64_t subscription, const envelope_view *view)
{
    uint8_t *p = open_frame(w, BUS_FRAME_GIVE_BACK, 3, UINT_MAX_SIZE + view->len);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, subscription);
    return close_frame(w, mp_put_raw(p, view->data, view->len));
}

loom_status bus_put_frame(frame_writer *w, const frame *f)
{
    switch (f->type) {
    case FRAME_SUBSCRIBE: return frame_put_subscribe(w, &f->u.subscribe);
    case FRAME_UNSUBSCRIBE: return frame_put_unsubscribe(w, &f->u.unsubscribe);
    case FRAME_PROVIDE: return frame_put_provide(w, &f->u.provide);
    case FRAME_CREDIT: return frame_put_credit(w, f->u.credit.messages, f->u.credit.bytes);
    case FRAME_RESULT: return frame_put_result(w, &f->u.result);
    case FRAME_REPORT: return frame_put_report(w, &f->u.report);
    case FRAME_CANCEL: return frame_put_cancel(w, f->u.cancel.call_id, f->u.cancel.reason);
    case FRAME_CALL_CREDIT:
        return frame_put_call_credit(w, f->u.call_credit.call_id, f->u.call_credit.chunks, f->u.call_credit.bytes);
    case FRAME_SPANS: return frame_put_spans(w, &f->u.spans);
    case FRAME_RECORDED: return frame_put_recorded(w, &f->u.spans);
    case FRAME_SPAN_CREDIT: return frame_put_span_credit(w, &f->u.span_credit);
    case FRAME_ASK: return frame_put_ask(w, &f->u.ask);
    case FRAME_MATCHED: return frame_put_matched(w, &f->u.matched);
    case FRAME_HELD: return frame_put_held(w, &f->u.held);
    case FRAME_KEEP_LAST:
    case FRAME_KEEP: return frame_put_keep(w, &f->u.keep);
    case FRAME_MOVE:
    case FRAME_PING: return frame_put_number(w, f->type, f->u.number);
    case FRAME_ERROR:
    case FRAME_BYE:
    case FRAME_ACK:
    case FRAME_NOTICE: return frame_put_outcome(w, f->type, &f->u.outcome);
    default: return LOOM_EPROTO;
    }
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

frame_writer *bus_outgoing_to(bus_outgoing *out, uint64_t session)
{
    if (out->session != session) {
        if (bus_put_session(&out->w, session) != LOOM_OK) {
            return NULL;
        }
        out->session = session;
    }
    return &out->w;
}

void bus_outgoing_clear(bus_outgoing *out)
{
    if (out->w.cap > 4 * BUS_MESSAGE_TARGET) {
        frame_writer_fini(&out->w);
    }
    frame_writer_clear(&out->w);
    out->session = 0;
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

/* An envelope of which head.len bytes are written now. There is room for it. */
static void put_envelope(frame_writer *w, bus_fanout *f, loom_bytes head, size_t size)
{
    if (w->batch_type == 0) {
        open_fanout(w);
    }
    f->envelope_at = w->len;
    f->envelope_len = (uint32_t)size;
    mp_put_raw(w->data + w->len, head.data, head.len);
    w->len += head.len;
    f->targets_at = w->len;
    f->targets = 0;
    w->data[w->len] = MP_ARRAY32;
    w->len += TARGETS_HEADER_SIZE;
    w->batch_count += 2;
}

loom_status bus_put_fanout_head(frame_writer *w, bus_fanout *f, loom_bytes head, size_t size)
{
    if (!frame_writer_reserve(w, FANOUT_HEADER_SIZE + head.len + TARGETS_HEADER_SIZE)) {
        return LOOM_ENOMEM;
    }
    put_envelope(w, f, head, size);
    return LOOM_OK;
}

loom_status bus_put_target(frame_writer *w, bus_fanout *f, uint64_t session, uint64_t subscription)
{
    if (!frame_writer_reserve(w, TARGET_MAX)) {
        return LOOM_ENOMEM;
    }
    uint8_t *p = mp_put_uint(w->data + w->len, session);
    p = mp_put_uint(p, subscription);
    w->len = (size_t)(p - w->data);
    f->targets++;
    mp_store32(w->data + f->targets_at + 1, f->targets * 2);
    return LOOM_OK;
}

loom_status bus_put_delivery(bus_outgoing *out, uint64_t session, uint64_t subscription,
                             const envelope_view *view)
{
    frame_writer *w = &out->w;
    bus_fanout *last = &out->fanout;
    if (!is_last(w, last, view)) {
        if (w->batch_type != (frame_type)BUS_FRAME_FANOUT || w->len - w->batch_at > FRAME_BATCH_TARGET) {
            frame_writer_seal(w);
        }
        if (!frame_writer_reserve(w, FANOUT_HEADER_SIZE + view->len + TARGETS_HEADER_SIZE + TARGET_MAX)) {
            return LOOM_ENOMEM;
        }
        put_envelope(w, last, (loom_bytes){view->data, view->len}, view->len);
    }
    return bus_put_target(w, last, session, subscription);
}
