/* SPDX-License-Identifier: Apache-2.0 */
/* Log records from outside, as protobuf and as JSON: what is read is written as JSON text without control bytes, and what
 * JSON stands for is a request that can be read. */
#include "trace/collect/logs.h"
#include "trace/collect/otlp_from_json.h"

#include <stdlib.h>

#define OUT_MAX (64u * 1024u * 1024u)

static bool print(void *user, const log_record *log)
{
    log_print_json(user, log, log->severity_text);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[OTLP_JSON_PROBLEM_SIZE];
    pb_buf out, request;
    pb_init(&out, NULL, 0, OUT_MAX);
    (void)!logs_read((loom_bytes){data, size}, print, &out);
    pb_init(&request, NULL, 0, OUT_MAX);
    if (otlp_logs_from_json(&request, (loom_str){(const char *)data, size}, why) == LOOM_OK &&
        logs_read((loom_bytes){request.data, request.len}, print, &out) != LOOM_OK) {
        abort();
    }
    for (size_t i = 0; i < out.len; i++) {
        if (out.data[i] < ' ' || out.data[i] == 0x7f) {
            abort();
        }
    }
    pb_fini(&request);
    pb_fini(&out);
    return 0;
}
