/* SPDX-License-Identifier: Apache-2.0 */
/* A set of system calls as users write it. */
#ifndef LOOM_TRACE_PROCESS_SET_H
#define LOOM_TRACE_PROCESS_SET_H

#include <loom/status.h>

#include "trace/process/syscalls/table.h"

typedef struct syscall_set {
    bool chosen[SYSCALL_SPECS_MAX]; /* by place in syscall_specs */
} syscall_set;

/* strace's -e trace=SET, with or without "trace=" in front: names, classes (file, %file), /regex, all, none, between commas;
 * ?name is no error when it is unknown. A '!' in front of everything means all but these; in front of a later item, that it is
 * taken out again. NULL and "": the default set.
 * LOOM_EINVAL: problem says which item is unknown, and which known one is near. */
LOOM_MUST_CHECK loom_status syscall_set_parse(syscall_set *set, const char *text, char *problem, size_t problem_size);

#endif
