/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/seccomp_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* What the dynamic linker has loaded belongs to the process. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static seccomp_library table;
static const seccomp_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {#name, offsetof(seccomp_library, name)},
        SECCOMP_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "tracing system calls needs libseccomp (Debian: libseccomp2)",
        .oldest = "libseccomp 2.5",
        .files = {"libseccomp.so.2"},
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
    }
}

const seccomp_library *seccomp_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *seccomp_library_problem(void)
{
    return problem;
}
