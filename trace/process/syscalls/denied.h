/* SPDX-License-Identifier: Apache-2.0 */
/* Why a process may not be traced, and what its user can do. */
#ifndef LOOM_TRACE_PROCESS_DENIED_H
#define LOOM_TRACE_PROCESS_DENIED_H

#include <stddef.h>
#include <sys/types.h>

/* error: what PTRACE_SEIZE failed with. Writes a sentence. */
void denied_explain(pid_t pid, int error, char *problem, size_t size);

#endif
