/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/tls_library.h"

#include <pthread.h>
#include <stddef.h>

#include "base/shared_library.h"

/* What the dynamic linker has loaded belongs to the process, and so does this. Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static tls_library table;
static const tls_library *loaded;
static char problem[SHARED_LIBRARY_PROBLEM_SIZE];

static void load(void)
{
    static const struct library_function functions[] = {
#define X(name) {#name, offsetof(tls_library, name)},
        TLS_LIBRARY_MAP(X)
#undef X
    };
    static const shared_library library = {
        .needed = "TLS needs OpenSSL (Debian: libssl3)",
        .oldest = "OpenSSL 3.0",
        .files = {"libssl.so.3"}, /* the functions of libcrypto are found through it */
        .functions = functions,
        .function_count = sizeof functions / sizeof *functions,
    };
    if (shared_library_load(&table, &library, problem) == LOOM_OK) {
        loaded = &table;
    }
}

const tls_library *http_tls_library_get(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *http_tls_library_problem(void)
{
    return problem;
}
