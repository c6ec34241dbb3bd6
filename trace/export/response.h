/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver answered, and what that means for the batch (OTLP specification, "Failures"). Bytes from outside. */
#ifndef LOOM_TRACE_EXPORT_RESPONSE_H
#define LOOM_TRACE_EXPORT_RESPONSE_H

#include "trace/export/exporter.h"
#include "trace/otlp/protobuf_write.h"

#define OTLP_GRPC_STATUS_NONE (-1)

typedef struct otlp_response {
    pb_buf body; /* at most 64 KiB */
    bool cut;    /* there was more */
    bool is_json; /* Content-Type: application/json */
    int grpc_status;
    bool has_retry_info; /* google.rpc.RetryInfo came with the gRPC status */
    uint64_t retry_delay_ms;
    char grpc_message[128];
} otlp_response;

void otlp_response_init(otlp_response *r);
void otlp_response_fini(otlp_response *r);
/* Ready for the next answer. */
void otlp_response_reset(otlp_response *r);
/* false: this is more than an answer may have. */
bool otlp_response_body(otlp_response *r, loom_bytes part);
/* One header or trailer line, with or without its line end. */
void otlp_response_header(otlp_response *r, loom_str line);

/* Fill result from a complete answer. */
/* The body of a success is JSON when the answer says so (OTLP/HTTP: it is what the request was). */
void otlp_judge_http(const otlp_response *r, long http_status, uint64_t retry_after_ms, export_result *result);
void otlp_judge_grpc(const otlp_response *r, long http_status, uint64_t retry_after_ms, export_result *result);

#endif
