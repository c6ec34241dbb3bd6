/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of calls for people, and for programs. */
#ifndef LOOM_TRACE_PROCESS_SUMMARY_H
#define LOOM_TRACE_PROCESS_SUMMARY_H

#include "trace/process/syscalls/syscall_trace.h"
#include "trace/process/syscalls/tally.h"

/* LOOM_EIO: out could not be written. */
LOOM_MUST_CHECK loom_status syscall_summary_write(const tally *t, const syscall_spec *const *specs, FILE *out,
                                                  syscall_summary_form form, unsigned columns);

#endif
