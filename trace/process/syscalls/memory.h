/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a traced process, and what /proc says of it. In the tracer, of a thread that is stopped or in a call. */
#ifndef LOOM_TRACE_PROCESS_MEMORY_H
#define LOOM_TRACE_PROCESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MEMORY_LINKS = 4 };

/* A thread that is looked at. Descriptors of its /proc files spare a path and a check of permissions at every look; they are
 * opened when it has been looked at often enough to be worth it. */
typedef struct memory_view {
    pid_t tid;
    unsigned looks;
    int bytes;       /* /proc/TID/mem of the program that it runs; 0: not open */
    int descriptors; /* /proc/TID/fd; 0: not open */
    struct {
        int number, handle; /* of /proc/TID/fd/NUMBER itself, which always says where it leads now; 0: not open */
    } links[MEMORY_LINKS];
} memory_view;

/* Before it runs another program, and at its end. */
void memory_view_close(memory_view *v);

/* Up to len bytes from there; what is readable. */
size_t memory_read(memory_view *v, uint64_t address, void *to, size_t len);
/* Up to a NUL, which is not counted, or size bytes. */
size_t memory_read_text(memory_view *v, uint64_t address, char *to, size_t size);
/* The strings of a NULL-terminated array of pointers, each with its NUL, as many as fit. */
size_t memory_read_strings(memory_view *v, uint64_t address, char *to, size_t size);

/* readlink() of /proc/PID/NAME; 0: it cannot be read. No NUL. */
size_t memory_link(pid_t pid, const char *name, char *to, size_t size);
/* Where a descriptor of it leads; as memory_link(). */
size_t memory_descriptor(memory_view *v, int fd, char *to, size_t size);
/* The beginning of /proc/PID/NAME. */
size_t memory_file(pid_t pid, const char *name, char *to, size_t size);

#endif
