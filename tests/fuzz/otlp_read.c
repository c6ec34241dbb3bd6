/* SPDX-License-Identifier: Apache-2.0 */
/* An export request from outside, read and written as JSON: the output is JSON text without control bytes. */
#include "trace/otlp/json.h"
#include "trace/export/response.h"

#include <stdlib.h>

#define OUT_MAX (64u * 1024u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pb_buf out;
    pb_init(&out, NULL, 0, OUT_MAX);
    if (otlp_json_request(&out, (loom_bytes){data, size}) == LOOM_OK) {
        for (size_t i = 0; i < out.len; i++) {
            if (out.data[i] < ' ' || out.data[i] == 0x7f) {
                abort();
            }
        }
    }
    pb_fini(&out);

    otlp_response response;
    otlp_response_init(&response);
    otlp_response_header(&response, (loom_str){(const char *)data, size});
    otlp_response_body(&response, (loom_bytes){data, size});
    export_result result = {.outcome = EXPORT_FAILED};
    otlp_judge_http(&response, 200, 0, &result);
    response.is_json = !response.is_json;
    otlp_judge_http(&response, 200, 0, &result);
    response.grpc_status = 0;
    otlp_judge_grpc(&response, 200, 0, &result);
    otlp_response_fini(&response);
    return 0;
}
