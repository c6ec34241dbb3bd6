/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/export/zlib_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* As for libcurl: what the dynamic linker has loaded belongs to the process. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static zlib_library table;
static const zlib_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {#name, offsetof(zlib_library, name)},
        ZLIB_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "gzip needs zlib (Debian: zlib1g)",
        .oldest = "zlib 1.2",
        .files = {"libz.so.1"},
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
    }
}

const zlib_library *zlib_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *zlib_library_problem(void)
{
    return problem;
}
