/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says this process uses. Threads: any. */
#ifndef LOOM_HOST_RESOURCES_H
#define LOOM_HOST_RESOURCES_H

#include <stdint.h>

/* 0: the kernel does not say. */
typedef struct process_resources {
    double cpu_seconds, start_seconds; /* of processor time; of the start, since 1970 */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
    uint64_t threads;
} process_resources;

void process_resources_read(process_resources *out);

#endif
