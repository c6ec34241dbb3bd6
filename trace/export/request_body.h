/* SPDX-License-Identifier: Apache-2.0 */
/* A batch as its receiver wants it: protobuf or JSON, compressed or not, behind a gRPC frame or alone. Exporter thread only. */
#ifndef LOOM_TRACE_EXPORT_REQUEST_BODY_H
#define LOOM_TRACE_EXPORT_REQUEST_BODY_H

#include "trace/export/zlib_library.h"
#include "trace/otlp/protobuf_write.h"

#include <loom/trace.h>

#define GRPC_FRAME_HEAD 5u /* bytes: compressed flag and length (gRPC over HTTP2, "Length-Prefixed-Message") */

typedef struct request_body {
    bool grpc, json;
    const zlib_library *zlib; /* NULL: not compressed */
    z_stream stream;
    bool stream_ready;
    pb_buf text; /* JSON */
    pb_buf wire; /* compressed or framed */
} request_body;

/* zlib: NULL for no compression. */
void request_body_init(request_body *b, loom_exporter_kind kind, const zlib_library *zlib);
void request_body_fini(request_body *b);
/* *out is valid until the next call; it may be request itself. false: no memory. */
bool request_body_make(request_body *b, loom_bytes request, loom_bytes *out);
/* Gives memory back that only an unusually large batch needs. */
void request_body_sent(request_body *b);

#endif
