/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/dw_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* What the dynamic linker has loaded belongs to the process. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static dw_library table;
static const dw_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {#name, offsetof(dw_library, name)},
        DW_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "finding the source of a system call needs libdw (Debian: libdw1)",
        .oldest = "elfutils 0.170",
        .files = {"libdw.so.1"},
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
    }
}

const dw_library *dw_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *dw_library_problem(void)
{
    return problem;
}
