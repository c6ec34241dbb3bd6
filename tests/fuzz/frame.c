/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames: what is read of a frame with keys, written again, reads as the same. */
#include <stdlib.h>
#include <string.h>

#include "envelope/frame/frame.h"
#include "envelope/frame/keys.h"

static loom_status write_again(frame_writer *w, const frame *f)
{
    switch (f->type) {
    case FRAME_HELLO: return frame_put_hello(w, &f->u.hello);
    case FRAME_WELCOME: return frame_put_welcome(w, &f->u.welcome);
    case FRAME_SUBSCRIBE: return frame_put_subscribe(w, &f->u.subscribe);
    case FRAME_UNSUBSCRIBE: return frame_put_unsubscribe(w, &f->u.unsubscribe);
    case FRAME_PROVIDE: return frame_put_provide(w, &f->u.provide);
    case FRAME_CREDIT: return frame_put_credit(w, f->u.credit.messages, f->u.credit.bytes);
    case FRAME_MOVE:
    case FRAME_PING:
    case FRAME_PONG: return frame_put_number(w, f->type, f->u.number);
    case FRAME_RESULT: return frame_put_result(w, &f->u.result);
    case FRAME_CANCEL: return frame_put_cancel(w, f->u.cancel.call_id, f->u.cancel.reason);
    case FRAME_CALL: return frame_put_call(w, &f->u.call);
    case FRAME_REPORT: return frame_put_report(w, &f->u.report);
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
    default: return frame_keys_of(f->type).keys != NULL ? frame_put_outcome(w, f->type, &f->u.outcome) : LOOM_EINVAL;
    }
}

/* What a provide frame carries has been checked: it can be read, and written again in no more bytes. */
static void compare_metadata(loom_bytes metadata)
{
    loom_header entries[FRAME_METADATA_MAX];
    uint8_t written[LOOM_HEADERS_MAX];
    size_t count, len, again;
    if (frame_metadata_read(metadata, entries, FRAME_METADATA_MAX, &count) != LOOM_OK ||
        frame_metadata_write(written, sizeof written, entries, count, &len) != LOOM_OK || len > metadata.len ||
        frame_metadata_read((loom_bytes){written, len}, entries, FRAME_METADATA_MAX, &again) != LOOM_OK || again != count) {
        abort();
    }
}

static void compare(const frame *f)
{
    frame_writer first, second;
    frame again;
    loom_bytes body;
    size_t need;
    char reason[FRAME_REASON_SIZE];
    frame_writer_init(&first);
    frame_writer_init(&second);
    if (write_again(&first, f) == LOOM_OK) {
        if (frame_split((loom_bytes){first.data, first.len}, &body, &need) != FRAME_WHOLE ||
            frame_decode(&again, body, reason) != LOOM_OK || again.type != f->type ||
            write_again(&second, &again) != LOOM_OK || second.len != first.len ||
            memcmp(first.data, second.data, first.len) != 0) {
            abort();
        }
    }
    frame_writer_fini(&first);
    frame_writer_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_bytes left = {data, size}, body;
    size_t need;
    while (left.len > 0 && frame_split(left, &body, &need) == FRAME_WHOLE) {
        frame f;
        char reason[FRAME_REASON_SIZE] = "";
        if (frame_decode(&f, body, reason) == LOOM_OK) {
            compare(&f);
            if (f.type == FRAME_PROVIDE) {
                compare_metadata(f.u.provide.metadata);
            }
        } else if (reason[0] == '\0') {
            abort();
        }
        left.data += need;
        left.len -= need;
    }
    return 0;
}
