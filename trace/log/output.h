/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of a logger: lines go to it whole or are counted as dropped, and nobody waits long.
 *
 * No lock: a line is one write, which the kernel takes as one for a file, and for a pipe up to PIPE_BUF. So a process may
 * fork while other threads write. */
#ifndef LOOM_TRACE_LOG_OUTPUT_H
#define LOOM_TRACE_LOG_OUTPUT_H

#include <loom/status.h>

#include <stdatomic.h>

typedef enum output_kind { OUTPUT_FILE, OUTPUT_PIPE, OUTPUT_SOCKET, OUTPUT_OTHER } output_kind; /* other: a terminal */

typedef struct output {
    int fd;
    output_kind kind;
    uint32_t wait_ms;
    atomic_bool stalled; /* the last line found no room: nobody waits until one does */
    atomic_bool torn;    /* what was written last is half a line */
    atomic_bool may_block; /* of a pipe: the kernel has no write that never does */
    atomic_uint_fast64_t written, dropped;
    atomic_uint_fast64_t untold; /* dropped since the last record that tells of it */
} output;

/* LOOM_EINVAL: fd is not open. */
loom_status output_init(output *o, int fd, uint32_t wait_ms);
/* line ends in a newline, and the byte in front of it is the output's. False: dropped, and counted. errno may change. */
bool output_write(output *o, uint8_t *line, size_t len);

#endif
