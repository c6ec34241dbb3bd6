/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp, loaded when system calls are first traced. Never unloaded. Any thread. */
#ifndef LOOM_TRACE_PROCESS_SECCOMP_LIBRARY_H
#define LOOM_TRACE_PROCESS_SECCOMP_LIBRARY_H

#include <seccomp.h>

#define SECCOMP_LIBRARY_MAP(X)                                                                                          \
    X(seccomp_init) X(seccomp_release) X(seccomp_attr_set) X(seccomp_rule_add_array) X(seccomp_export_bpf)              \
    X(seccomp_syscall_resolve_name)

typedef struct seccomp_library {
#define X(name) __typeof__(&name) name;
    SECCOMP_LIBRARY_MAP(X)
#undef X
} seccomp_library;

/* NULL: there is none; seccomp_library_problem() says so. */
const seccomp_library *seccomp_library_get(void);
const char *seccomp_library_problem(void); /* after a NULL; static storage */

#endif
