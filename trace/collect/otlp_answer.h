/* SPDX-License-Identifier: Apache-2.0 */
/* What OTLP/HTTP answers to a body, without any HTTP: whoever serves it brings the content type and the bytes. */
#ifndef LOOM_TRACE_COLLECT_OTLP_ANSWER_H
#define LOOM_TRACE_COLLECT_OTLP_ANSWER_H

#include "trace/collect/store.h"
#include "trace/otlp/protobuf_write.h"

typedef enum otlp_signal { OTLP_TRACES, OTLP_LOGS } otlp_signal;
typedef enum body_type { BODY_PROTOBUF, BODY_JSON, BODY_UNKNOWN } body_type;

/* An answer; body is the caller's to pb_fini(). */
typedef struct otlp_answer {
    uint16_t status;          /* of HTTP */
    const char *content_type; /* static storage */
    pb_buf body;
} otlp_answer;

/* By the media type alone; parameters such as a charset do not matter. type may be NULL. */
body_type otlp_body_type(const char *content_type);
/* A google.rpc.Status in the encoding of the request, as the specification asks, or plain text when that is unknown. */
void otlp_answer_error(otlp_answer *answer, body_type type, uint16_t status, const char *message);
/* Decodes body and stores it. problem gets a sentence for the log when it is not stored, or is empty; by the
 * answer's status the fault is the sender's (4xx) or ours. */
void otlp_answer_export(otlp_answer *answer, otlp_signal signal, body_type type, loom_bytes body, store *db, store_receipt *receipt,
                        char problem[STORE_PROBLEM_SIZE]);

#endif
