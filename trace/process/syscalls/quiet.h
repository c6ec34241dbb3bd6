/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a call that failed is a failure to its caller. */
#ifndef LOOM_TRACE_PROCESS_QUIET_H
#define LOOM_TRACE_PROCESS_QUIET_H

#include "trace/process/syscalls/table.h"

/* result of a call: an error is between -4095 and -1. */
static inline bool syscall_failed(int64_t result)
{
    return result < 0 && result >= -4095;
}

/* error: an errno value, or one of the kernel's own (512 to 516) for a call that a signal interrupted, and that is made again.
 * path: the first one of the call; may be empty. */
bool syscall_error_matters(const syscall_spec *spec, int error, loom_str path);
/* "ENOENT"; NULL: it has no name. */
const char *syscall_error_name(int error);

#endif
