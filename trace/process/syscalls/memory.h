/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a traced process, and what /proc says of it. In the tracer, of a thread that is stopped. */
#ifndef LOOM_TRACE_PROCESS_MEMORY_H
#define LOOM_TRACE_PROCESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Up to len bytes from there; what is readable. */
size_t memory_read(pid_t tid, uint64_t address, void *to, size_t len);
/* Up to a NUL, which is not counted, or size bytes. */
size_t memory_read_text(pid_t tid, uint64_t address, char *to, size_t size);
/* The strings of a NULL-terminated array of pointers, each with its NUL, as many as fit. */
size_t memory_read_strings(pid_t tid, uint64_t address, char *to, size_t size);

/* readlink() of /proc/PID/NAME; 0: it cannot be read. No NUL. */
size_t memory_link(pid_t pid, const char *name, char *to, size_t size);
size_t memory_descriptor(pid_t tid, int fd, char *to, size_t size);
/* The beginning of /proc/PID/NAME. */
size_t memory_file(pid_t pid, const char *name, char *to, size_t size);

#endif
