/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/gRPC around the bodies of OTLP/HTTP: a message with its prefix, and an answer whose status is in trailers.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * Threads: the loop's. */
#ifndef LOOM_TOOLS_RECEIVER_GRPC_H
#define LOOM_TOOLS_RECEIVER_GRPC_H

#include "host/http/http_server.h"
#include "trace/collect/otlp_answer.h"

#define RECEIVER_GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define RECEIVER_GRPC_LOGS "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

/* Whether it is a call: answered by receiver_grpc_answer(), whatever becomes of it. */
bool receiver_is_grpc(const http_request *r);
/* The one message of a call, which points into its body. 0, or a status of HTTP to refuse it with and *why. */
uint16_t receiver_grpc_message(const http_request *r, loom_bytes *message, bool *gzipped, const char **why);
/* Answers with what OTLP/HTTP would have said in protobuf: an ExportTraceServiceResponse, or a google.rpc.Status. */
void receiver_grpc_answer(http_request *r, const otlp_answer *answer);

#endif
