/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/ws_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static ws_library table;
static const ws_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {#name, offsetof(ws_library, name)},
        WS_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "ws and wss need libwslay (Debian: libwslay1)",
        .oldest = "libwslay 1.1",
        .files = {"libwslay.so.1"},
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
    }
}

const ws_library *ws_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *ws_library_problem(void)
{
    return problem;
}
