/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/frame/bus_message.h"

#include <stdio.h>

#include "envelope/msgpack_bytes.h"

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

static bool read_greeting(mp_reader *r, uint32_t values, bus_greeting *f)
{
    uint64_t parts = 0, payload_max = 0, ttl = 0;
    f->hold_ms = f->span_credit = 0;
    const bool fine = mp_read_uint(r, &f->protocol) && mp_read_str(r, &f->id) && f->id.len <= BUS_BRIDGE_ID_MAX &&
           mp_read_str(r, &f->software) && f->software.len <= BUS_SOFTWARE_MAX &&
           (values < 5 || mp_read_uint(r, &f->hold_ms)) && (values < 6 || mp_read_uint(r, &f->span_credit)) &&
           (values < 7 || mp_read_uint(r, &parts)) && (values < 8 || mp_read_uint(r, &payload_max)) &&
           (values < 9 || mp_read_uint(r, &ttl));
    f->parts = parts != 0;
    f->payload_max = payload_max < UINT32_MAX ? (uint32_t)payload_max : UINT32_MAX;
    f->ttl = ttl < UINT8_MAX ? (uint32_t)ttl : UINT8_MAX;
    return fine;
}

static bool read_attach(mp_reader *r, uint32_t values, bus_attach *f)
{
    uint64_t flags = 0;
    f->age_ms = 0;
    const bool fine = mp_read_str(r, &f->agent) && f->agent.len <= LOOM_AGENT_ID_MAX && mp_read_str(r, &f->software) &&
           f->software.len <= BUS_SOFTWARE_MAX && mp_read_bin(r, &f->instance) &&
           (f->instance.len == 0 || f->instance.len == LOOM_UUID_SIZE) && mp_read_uint(r, &f->heartbeat_ms) &&
           mp_read_str(r, &f->peer) && f->peer.len <= BUS_PEER_MAX && (values < 7 || mp_read_uint(r, &f->age_ms)) &&
           (values < 8 || mp_read_uint(r, &flags));
    f->quiet = (flags & BUS_ATTACH_QUIET) != 0;
    f->own = (flags & BUS_ATTACH_OWN) != 0;
    f->unrecorded = (flags & BUS_ATTACH_UNRECORDED) != 0;
    return fine;
}

static bool read_taken(mp_reader *r, uint32_t values, bus_frame *f)
{
    uint64_t answer;
    bool fine = mp_read_uint(r, &f->number) && mp_read_uint(r, &answer);
    f->answer = fine && answer != 0;
    f->queued = 0;
    return fine && (values < 4 || mp_read_uint(r, &f->queued));
}

static bool read_fanout(mp_reader *r, frame_batch *batch)
{
    uint32_t values;
    bool fine = mp_read_array(r, &values) && values % 2 == 0;
    *batch = fine ? (frame_batch){values / 2, {r->at, (size_t)(r->end - r->at)}} : (frame_batch){0};
    return fine;
}

/* Values of a later version, behind those that are known, are not looked at. */
static loom_status read_own(bus_frame *out, mp_reader *r, uint32_t values, char reason[FRAME_REASON_SIZE])
{
    bool fine;
    switch (out->type) {
    case BUS_FRAME_SESSION:
    case BUS_FRAME_MARK:
    case BUS_FRAME_PRESSURE: fine = mp_read_uint(r, &out->number); break;
    case BUS_FRAME_FANOUT: fine = read_fanout(r, &out->fanout); break;
    case BUS_FRAME_GREETING: fine = read_greeting(r, values, &out->greeting); break;
    case BUS_FRAME_TAKEN: fine = read_taken(r, values, out); break;
    case BUS_FRAME_ATTACH: fine = read_attach(r, values, &out->attach); break;
    case BUS_FRAME_PART: fine = mp_read_uint(r, &out->number) && mp_read_bin(r, &out->part); break;
    case BUS_FRAME_GIVE_BACK:
        fine = values == 3 && mp_read_uint(r, &out->number) && r->at < r->end;
        out->envelope = (loom_bytes){r->at, (size_t)(r->end - r->at)};
        break;
    default: snprintf(reason, FRAME_REASON_SIZE, "frame type %u is not known", out->type); return LOOM_EVERSION;
    }
    if (!fine) {
        snprintf(reason, FRAME_REASON_SIZE, "frame of type %u is not well-formed", out->type);
    }
    return fine ? LOOM_OK : LOOM_EMALFORMED;
}

loom_status bus_frame_next(loom_bytes *rest, bus_frame *out, char reason[FRAME_REASON_SIZE])
{
    loom_bytes body;
    size_t need;
    if (rest->len == 0) {
        return LOOM_ENOTFOUND;
    }
    const frame_piece piece = frame_split(*rest, &body, &need);
    if (piece != FRAME_WHOLE) {
        const bool cut = piece == FRAME_PARTIAL;
        snprintf(reason, FRAME_REASON_SIZE, "a frame is %s", cut ? "cut short" : "of a length out of bounds");
        return cut ? LOOM_EMALFORMED : LOOM_ETOOBIG;
    }
    out->whole = (loom_bytes){rest->data, need};
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
        return read_own(out, &r, count, reason);
    }
    const loom_status st = frame_decode(&out->link, body, reason);
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
