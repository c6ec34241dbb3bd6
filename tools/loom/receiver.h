/* SPDX-License-Identifier: Apache-2.0 */
/* An OTLP receiver of traces in front of a store: POST /v1/traces over HTTP/1.1 or HTTP/2, TraceService/Export over gRPC,
 * GET /health. Every port takes all of them, by what a client says first.
 * https://opentelemetry.io/docs/specs/otlp/
 *
 * Threads: the loop's. What is received is stored before it is answered. */
#ifndef LOOM_TOOLS_RECEIVER_H
#define LOOM_TOOLS_RECEIVER_H

#include <uv.h>

#include "trace/collect/store.h"

#define RECEIVER_BODY_MAX ((size_t)16 << 20)     /* bytes of one request */
#define RECEIVER_BODIES_MAX ((size_t)64 << 20)   /* bytes of all requests under way; more are told to come back */
#define RECEIVER_PROBLEM_SIZE 256                /* bytes with NUL */

typedef struct receiver receiver;

typedef struct receiver_counts {
    uint64_t requests; /* stored */
    uint64_t refused;  /* answered with an error */
    uint64_t spans, logs; /* stored */
} receiver_counts;

typedef struct receiver_options {
    const char *listen; /* "HOST:PORT"; port 0: any free one. An IPv6 host stands in brackets. */
    const char *grpc_listen; /* a second one, where gRPC is expected by default; NULL: none */
    bool grpc_optional; /* an address that cannot be had is reported to on_error, and the receiver does without */
    store *db;          /* a writer; used by the receiver alone until it is closed */
    void (*on_error)(void *user, const char *message); /* what went wrong on our side; may be NULL */
    void *user;
} receiver_options;

/* Listens when it returns. LOOM_EINVAL: no HOST:PORT. LOOM_EBUSY: the address is in use. LOOM_EIO, LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status receiver_open(receiver **out, uv_loop_t *loop, const receiver_options *options,
                                          char problem[RECEIVER_PROBLEM_SIZE]);
/* "HOST:PORT" as it is listened on, with the real port. */
const char *receiver_address(const receiver *r);
/* Of grpc_listen; without it, receiver_address(). */
const char *receiver_grpc_address(const receiver *r);
uint16_t receiver_port(const receiver *r);
receiver_counts receiver_read_counts(const receiver *r);
/* Ends connections as the loop goes on, then frees itself. The store is not used any more. NULL is allowed. */
void receiver_close(receiver *r);

#endif
