/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/view.h"

#include "envelope/id.h"
#include "envelope/msgpack_bytes.h"

uint64_t envelope_view_timestamp(const envelope_view *view)
{
    loom_bytes encoded = envelope_view_bytes(view, ENV_TIMESTAMP);
    mp_reader r = {encoded.data, encoded.data + encoded.len};
    uint64_t value = 0;
    (void)mp_read_uint(&r, &value);
    return value;
}

loom_str envelope_view_thread_id(const envelope_view *view, char buf[LOOM_UUID_TEXT_SIZE])
{
    loom_str thread = envelope_view_str(view, ENV_THREAD_ID);
    if (thread.len > 0) {
        return thread;
    }
    loom_uuid_to_text(buf, view->data + view->field[ENV_ID].off);
    return (loom_str){buf, LOOM_UUID_TEXT_SIZE - 1};
}

loom_str envelope_view_correlation_id(const envelope_view *view, char buf[LOOM_UUID_TEXT_SIZE])
{
    loom_str correlation = envelope_view_str(view, ENV_CORRELATION_ID);
    return correlation.len > 0 ? correlation : envelope_view_thread_id(view, buf);
}

bool envelope_view_context(const envelope_view *view, loom_trace_context *out)
{
    hop_read(view->data, out);
    if (loom_trace_context_valid(out)) {
        return true;
    }
    *out = (loom_trace_context){{0}, {0}, 0};
    return false;
}
