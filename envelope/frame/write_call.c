/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the frames of calls, of spans and of asks. They have few, small fields before a large last one, so each knows beforehand how much room
 * it needs at most, and is written into it in one go. */
#include "envelope/frame/frame.h"
#include "envelope/msgpack_bytes.h"

enum {
    UINT_MAX_SIZE = 9,
    STR_HEADER_MAX = 3, /* every text of these frames is under 64 KiB */
    BIN_HEADER_MAX = 5,
    HEAD_SIZE = FRAME_HEADER_SIZE + 2, /* length, fixarray, type */
    CALL_HEAD_MAX = HEAD_SIZE + BIN_HEADER_MAX + FRAME_CALL_ID_MAX + 2 * STR_HEADER_MAX + FRAME_CAPABILITY_MAX +
                    FRAME_VERSION_MAX + 3 * UINT_MAX_SIZE,
    RESULT_HEAD_MAX = HEAD_SIZE + 2 * BIN_HEADER_MAX + FRAME_CALL_ID_MAX + UINT_MAX_SIZE + 2 * (STR_HEADER_MAX + FRAME_TEXT_MAX),
    REPORT_HEAD_MAX = HEAD_SIZE + 2 * BIN_HEADER_MAX + FRAME_CALL_ID_MAX + 2 * UINT_MAX_SIZE,
    CANCEL_MAX = HEAD_SIZE + BIN_HEADER_MAX + FRAME_CALL_ID_MAX + STR_HEADER_MAX + FRAME_TEXT_MAX,
    CALL_CREDIT_MAX = HEAD_SIZE + BIN_HEADER_MAX + FRAME_CALL_ID_MAX + 2 * UINT_MAX_SIZE,
    SPANS_HEAD_MAX = HEAD_SIZE + 2 * UINT_MAX_SIZE + BIN_HEADER_MAX,
    SPAN_CREDIT_MAX = HEAD_SIZE + 3 * UINT_MAX_SIZE,
    ASK_MAX = HEAD_SIZE + BIN_HEADER_MAX + LOOM_UUID_SIZE + 2 * UINT_MAX_SIZE,
    KEEP_MAX = HEAD_SIZE + BIN_HEADER_MAX + LOOM_TRACE_ID_SIZE + STR_HEADER_MAX + FRAME_KEEP_REASON_MAX + UINT_MAX_SIZE,
    ARRAY_HEADER_MAX = 3,
    HELD_MAX = HEAD_SIZE + BIN_HEADER_MAX + LOOM_TRACE_ID_SIZE + 3 * UINT_MAX_SIZE + 2 * ARRAY_HEADER_MAX +
               FRAME_PARTIES_MAX * (STR_HEADER_MAX + LOOM_AGENT_ID_MAX + 2 * UINT_MAX_SIZE)
};

/* Where a frame of at most size bytes begins; nothing counts before finish(). Returns where its values go. */
static uint8_t *start(frame_writer *w, frame_type type, unsigned values, size_t size)
{
    frame_writer_seal(w);
    if (!frame_writer_reserve(w, size)) {
        return NULL;
    }
    uint8_t *p = w->data + w->len + FRAME_HEADER_SIZE;
    *p++ = (uint8_t)(MP_FIXARRAY | values);
    *p++ = (uint8_t)type;
    return p;
}

static loom_status finish(frame_writer *w, const uint8_t *end)
{
    uint8_t *header = w->data + w->len;
    size_t body = (size_t)(end - header) - FRAME_HEADER_SIZE;
    if (body > FRAME_MAX) {
        return LOOM_ETOOBIG;
    }
    mp_store32(header, (uint32_t)body);
    w->len += FRAME_HEADER_SIZE + body;
    return LOOM_OK;
}

static bool call_fits(const frame_call *f, size_t envelope_size)
{
    return f->call_id.len <= FRAME_CALL_ID_MAX && f->capability.len <= FRAME_CAPABILITY_MAX &&
           f->version.len <= FRAME_VERSION_MAX && envelope_size <= LOOM_ENVELOPE_MAX;
}

uint8_t *frame_call_begin(frame_writer *w, const frame_call *f, size_t envelope_size)
{
    uint8_t *p = call_fits(f, envelope_size) ? start(w, FRAME_CALL, 8, CALL_HEAD_MAX + envelope_size) : NULL;
    if (p == NULL) {
        return NULL;
    }
    p = mp_put_bin(p, f->call_id.data, f->call_id.len);
    p = mp_put_str(p, f->capability);
    p = mp_put_str(p, f->version);
    p = mp_put_uint(p, f->deadline_ms);
    p = mp_put_uint(p, f->idle_ms);
    p = mp_put_uint(p, f->flags);
    /* Until the commit the place of the frame's length says how long its head is. */
    mp_store32(w->data + w->len, (uint32_t)(p - (w->data + w->len)));
    return p;
}

void frame_call_commit(frame_writer *w, size_t envelope_size)
{
    uint8_t *header = w->data + w->len;
    size_t len = mp_load32(header) + envelope_size;
    mp_store32(header, (uint32_t)(len - FRAME_HEADER_SIZE));
    w->len += len;
}

loom_status frame_put_call(frame_writer *w, const frame_call *f)
{
    if (!call_fits(f, f->envelope.len)) {
        return LOOM_ETOOBIG;
    }
    uint8_t *room = frame_call_begin(w, f, f->envelope.len);
    if (room == NULL) {
        return LOOM_ENOMEM;
    }
    mp_put_raw(room, f->envelope.data, f->envelope.len);
    frame_call_commit(w, f->envelope.len);
    return LOOM_OK;
}

loom_status frame_put_result(frame_writer *w, const frame_result *f)
{
    if (f->call_id.len > FRAME_CALL_ID_MAX || f->code.len > FRAME_TEXT_MAX || f->text.len > FRAME_TEXT_MAX ||
        f->payload.len > FRAME_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_RESULT, 6, RESULT_HEAD_MAX + f->payload.len);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, f->call_id.data, f->call_id.len);
    p = mp_put_uint(p, f->outcome);
    p = mp_put_str(p, f->code);
    p = mp_put_str(p, f->text);
    return finish(w, mp_put_bin(p, f->payload.data, f->payload.len));
}

loom_status frame_put_report(frame_writer *w, const frame_report *f)
{
    if (f->call_id.len > FRAME_CALL_ID_MAX || f->payload.len > FRAME_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_REPORT, 5, REPORT_HEAD_MAX + f->payload.len);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, f->call_id.data, f->call_id.len);
    p = mp_put_uint(p, f->kind);
    p = mp_put_uint(p, f->number);
    return finish(w, mp_put_bin(p, f->payload.data, f->payload.len));
}

loom_status frame_put_cancel(frame_writer *w, loom_bytes call_id, loom_str reason)
{
    if (call_id.len > FRAME_CALL_ID_MAX || reason.len > FRAME_TEXT_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_CANCEL, 3, CANCEL_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, call_id.data, call_id.len);
    return finish(w, mp_put_str(p, reason));
}

loom_status frame_put_call_credit(frame_writer *w, loom_bytes call_id, uint64_t chunks, uint64_t bytes)
{
    if (call_id.len > FRAME_CALL_ID_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_CALL_CREDIT, 4, CALL_CREDIT_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, call_id.data, call_id.len);
    p = mp_put_uint(p, chunks);
    return finish(w, mp_put_uint(p, bytes));
}

/* ---- spans ---- */

static loom_status put_spans(frame_writer *w, frame_type type, const frame_spans *f)
{
    const bool recorded = type == FRAME_RECORDED;
    if (f->request.len > FRAME_SPANS_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, type, recorded ? 4 : 3, SPANS_HEAD_MAX + f->request.len);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, f->spans);
    p = mp_put_bin(p, f->request.data, f->request.len);
    return finish(w, recorded ? mp_put_uint(p, f->left) : p);
}

loom_status frame_put_spans(frame_writer *w, const frame_spans *f)
{
    return put_spans(w, FRAME_SPANS, f);
}

loom_status frame_put_recorded(frame_writer *w, const frame_spans *f)
{
    return put_spans(w, FRAME_RECORDED, f);
}

loom_status frame_put_span_credit(frame_writer *w, const frame_span_credit *f)
{
    uint8_t *p = start(w, FRAME_SPAN_CREDIT, 4, SPAN_CREDIT_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, f->bytes);
    p = mp_put_uint(p, f->spans);
    return finish(w, mp_put_uint(p, f->refused));
}

/* ---- how many a message matched ---- */

loom_status frame_put_ask(frame_writer *w, const frame_ask *f)
{
    if (f->message_id.len != LOOM_UUID_SIZE) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_ASK, 4, ASK_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, f->number);
    p = mp_put_bin(p, f->message_id.data, f->message_id.len);
    return finish(w, mp_put_uint(p, f->how));
}

loom_status frame_put_matched(frame_writer *w, const frame_matched *f)
{
    uint8_t *p = start(w, FRAME_MATCHED, 3, ASK_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_uint(p, f->number);
    return finish(w, mp_put_uint(p, f->subscriptions));
}

loom_status frame_put_keep(frame_writer *w, const frame_keep *f)
{
    if (f->last > 0) {
        return frame_put_number(w, FRAME_KEEP_LAST, f->last);
    }
    if (f->reason.len > FRAME_KEEP_REASON_MAX) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = start(w, FRAME_KEEP, f->asks ? 4 : 3, KEEP_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, f->trace_id, LOOM_TRACE_ID_SIZE);
    p = mp_put_str(p, f->reason);
    return finish(w, f->asks ? mp_put_uint(p, 1) : p);
}

/* Of a few values. */
static uint8_t *put_array(uint8_t *p, uint32_t values)
{
    if (values < 16) {
        *p++ = (uint8_t)(MP_FIXARRAY | values);
    } else {
        *p++ = MP_ARRAY16;
        *p++ = 0;
        *p++ = (uint8_t)values;
    }
    return p;
}

loom_status frame_put_held(frame_writer *w, const frame_held *f)
{
    if (f->party_count > FRAME_PARTIES_MAX) {
        return LOOM_ETOOBIG;
    }
    for (uint32_t i = 0; i < f->party_count; i++) {
        if (f->parties[i].agent.len > LOOM_AGENT_ID_MAX) {
            return LOOM_ETOOBIG;
        }
    }
    uint8_t *p = start(w, FRAME_HELD, 7, HELD_MAX);
    if (p == NULL) {
        return LOOM_ENOMEM;
    }
    p = mp_put_bin(p, f->trace_id, LOOM_TRACE_ID_SIZE);
    p = mp_put_uint(p, f->spans);
    p = mp_put_uint(p, f->cut);
    p = put_array(p, 2 * f->party_count);
    for (uint32_t i = 0; i < f->party_count; i++) {
        p = mp_put_uint(mp_put_str(p, f->parties[i].agent), f->parties[i].here);
    }
    p = put_array(p, f->party_count);
    for (uint32_t i = 0; i < f->party_count; i++) {
        p = mp_put_uint(p, f->parties[i].start_unix_ns);
    }
    return finish(w, mp_put_uint(p, f->off));
}
