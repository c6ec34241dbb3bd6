/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted can be set in and truncated, and the result is accepted too, and as large as promised. */
#include <loom/tracestate.h>
#include <stdlib.h>

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[LOOM_TRACESTATE_BUFFER_SIZE];
    const loom_str text = {.data = (const char *)data, .len = size};
    const loom_str key = {.data = "loom", .len = 4};
    const loom_str one = {.data = "1", .len = 1};
    const loom_status status = loom_tracestate_check(text);
    size_t len;
    require(loom_tracestate_set(out, sizeof out, &len, text, key, one) == status);
    if (status == LOOM_OK) {
        loom_str value;
        const loom_str set = {.data = out, .len = len};
        require(loom_tracestate_get(&value, set, key) == LOOM_OK && value.len == 1);
    }
    require(loom_tracestate_truncate(out, sizeof out, &len, text, LOOM_TRACESTATE_MAX) == status);
    require(len <= LOOM_TRACESTATE_MAX);
    require(loom_tracestate_check((loom_str){.data = out, .len = len}) == LOOM_OK);
    return 0;
}
