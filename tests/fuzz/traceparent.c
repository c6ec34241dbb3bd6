/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted formats as version 00, and reads back as the same context. */
#include <loom/context.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loom_trace_context ctx;
    if (loom_traceparent_parse(&ctx, (loom_str){.data = (const char *)data, .len = size}) != LOOM_OK) {
        return 0;
    }
    char text[LOOM_TRACEPARENT_SIZE];
    loom_traceparent_format(text, &ctx);
    loom_trace_context again;
    if (loom_traceparent_parse(&again, (loom_str){.data = text, .len = LOOM_TRACEPARENT_SIZE - 1}) != LOOM_OK ||
        memcmp(&ctx, &again, sizeof ctx) != 0) {
        abort();
    }
    return 0;
}
