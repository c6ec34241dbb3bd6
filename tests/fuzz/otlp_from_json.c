/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON from the network and from files: what is accepted has to be a request that can be read. */
#include "trace/collect/otlp_from_json.h"

#include "trace/collect/spans.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_buf request;
    span_list list;
    pb_init(&request, NULL, 0, (size_t)1 << 26);
    span_list_init(&list);
    if (otlp_from_json(&request, (loom_str){(const char *)data, size}, why) == LOOM_OK &&
        span_list_add(&list, (loom_bytes){request.data, request.len}) != LOOM_OK) {
        abort();
    }
    span_list_fini(&list);
    pb_fini(&request);
    return 0;
}
