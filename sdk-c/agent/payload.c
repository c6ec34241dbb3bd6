/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/agent/payload.h"

#include "base/number.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* "4KiB", "512". */
static bool read_size(loom_str text, size_t *bytes)
{
    static const char unit[] = "KiB";
    const size_t tail = sizeof unit - 1;
    double factor = 1, value;
    if (text.len > tail && str_is_any_case((loom_str){text.data + text.len - tail, tail}, unit)) {
        factor = 1024;
        text.len -= tail;
    }
    if (!number_parse(str_trim(text), &value) || value < 1 || value * factor > PAYLOAD_SPAN_MAX) {
        return false;
    }
    *bytes = (size_t)(value * factor);
    return true;
}

size_t payload_max_from_env(const char **problem)
{
    const loom_str text = str_trim(str_of(getenv("LOOM_TRACE_PAYLOAD")));
    size_t bytes = 0;
    *problem = NULL;
    if (text.len == 0 || str_is_any_case(text, "off") || str_is(text, "0")) {
        return 0;
    }
    if (!read_size(text, &bytes)) {
        *problem = "LOOM_TRACE_PAYLOAD is neither off nor a size of up to 16KiB; payloads are not kept";
        return 0;
    }
    if (str_trim(str_of(getenv("LOOM_TRACE_MASK"))).len == 0) {
        *problem = "LOOM_TRACE_PAYLOAD has no effect without LOOM_TRACE_MASK, which says what to mask in payloads: all, or off";
        return 0;
    }
    return bytes;
}

void payload_set(loom_span *span, loom_bytes payload, size_t max)
{
    loom_str text = {(const char *)payload.data, payload.len < max ? payload.len : max};
    while (text.len < payload.len && text.len > 0 && (payload.data[text.len] & 0xc0u) == 0x80u) {
        text.len--; /* no half of a character */
    }
    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL || !utf8_valid(text)) {
        return;
    }
    loom_span_set_str(span, "loom.payload", text);
    if (text.len < payload.len) {
        loom_span_set_bool(span, "loom.payload.cut", true);
    }
}
