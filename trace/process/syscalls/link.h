/* SPDX-License-Identifier: Apache-2.0 */
/* loom's end of the tracer: forking it, orders to it. */
#ifndef LOOM_TRACE_PROCESS_LINK_H
#define LOOM_TRACE_PROCESS_LINK_H

#include "trace/process/syscalls/tracer.h"

typedef struct tracer_link {
    int socket, bell; /* -1: none */
    pid_t pid;
    tracer_shared *shared;
} tracer_link;

/* LOOM_ENOMEM, LOOM_EIO. plan stays as long as the tracer. */
LOOM_MUST_CHECK loom_status tracer_link_open(tracer_link *link, const syscall_plan *plan);
/* 0 or what the tracer answered; EPIPE: it is not there any more. */
int tracer_link_ask(const tracer_link *link, const tracer_request *request);
/* The tracer ends once it follows nobody. */
void tracer_link_close(tracer_link *link);

#endif
